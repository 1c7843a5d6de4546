"""The benchmark's own draws for C-bar: NumPy's legacy generator, in the order in which it is asked.

Fed to the library's functions without chance, they give the reference's pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.random import RandomState

from winninghand.corruptions.bar import lens, lines, noise, overlays, turning, warps
from winninghand.corruptions.imagenet_bar import caustics, perlin, waves

Draw = Callable[[RandomState, int, float], tuple]

TURN = 2 * np.pi


def corrupted(images: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """Return images uint8 (N, S, S, 3) as the benchmark would make them after `np.random.seed(seed)`."""
    draw, apply, strengths = {**BAR, **IMAGENET_BAR}[name]
    strength, state = strengths[severity - 1], RandomState(seed)
    draws = zip(*(draw(state, images.shape[1], strength) for _ in images), strict=True)
    return apply(
        torch.from_numpy(images), strength, *(torch.from_numpy(np.stack(one)) for one in draws)
    ).numpy()


def _started(state: RandomState) -> RandomState:
    """Return the generator of its own that many corruptions seed by one draw."""
    return RandomState(state.randint(0, 2**32))


def _phases(state, side, _):
    return (_started(state).uniform(0, TURN, (side, side // 2)),)


def _three_phases(state, side, _):
    return (_started(state).uniform(0, TURN, (3, side, side // 2)),)


def _chessboard(state, side, _):
    angle, cell = state.uniform(0, TURN), max(side * state.uniform(0.1, 0.25), 1)
    used = int(4 * side / cell)
    chances = np.ones((overlays.CELLS, overlays.CELLS))
    chances[:used, :used] = _started(state).uniform(size=(used, used))
    return angle, cell, chances


def _lights(state, side, _):
    centres, own = state.uniform(0, side, (5, 2)), _started(state)
    counts = state.randint(50, 200, 5)
    return centres, counts, np.stack([_padded(own.normal(size=count)) for count in counts])


def _light(state, side, _):
    centre, own = side * state.uniform(0.25, 0.75, 2), _started(state)
    count = state.randint(50, 200)
    return centre, count, _padded(own.normal(size=count))


def _padded(normals):
    return np.pad(normals, (0, overlays.RAYS_END - len(normals)))


def _waves(state, side, _):
    return side * state.uniform(0.1, 0.3, 2), state.uniform(0, TURN, 2)


def _signs(state, *_):
    return (state.choice([1, -1], (3, 3)),)


def _lines(state, side, strength):
    angle, spread = state.uniform(0, TURN), state.uniform(0.1, 1)
    rows, columns, turns = _started(state).uniform(size=(int(side * strength / 10), 3)).T
    return side * rows, side * columns, angle + TURN * spread * (turns - 0.5)


def _wave(state, *_):
    larger = state.uniform(-np.pi, np.pi)
    smaller = state.uniform(-abs(larger), abs(larger))
    return np.array([larger, smaller])[state.permutation(2)], state.uniform(0, TURN)


def _rings(state, side, _):
    return state.uniform(0, side, 2), state.uniform(0, 10), *state.uniform(0, side / 10, 2)


def _swirls(state, side, _):
    time, folds = state.uniform(0, 3 * TURN), state.randint(4, 7)
    return time, folds, state.uniform(0.5, 1), side * state.uniform(0.075, 0.2)


def _turbulence(state, *_):
    own = _started(state)
    vectors = own.randint(0, 2**31, (514, 2)) % 512 - 256
    partners = torch.from_numpy(own.randint(0, 2**31, (1, 256)) % 256)
    return vectors[:256], perlin.shuffled(partners)[0].numpy()


def _net(state, side, _):
    return state.uniform(0.5, 2), side * state.uniform(0.75, 1.25)


BAR: dict[str, tuple[Draw, Callable, tuple]] = {
    "blue_noise_sample": (_phases, noise.blackened, noise.BLUE_NOISE),
    "brownish_noise": (_three_phases, noise.clouded, noise.BROWNISH_NOISE),
    "checkerboard_cutout": (_chessboard, overlays.checkered, overlays.CHECKERBOARD),
    "sparkles": (_lights, overlays.sparkling, overlays.SPARKLES),
    "inverse_sparkles": (_light, overlays.outshone, overlays.INVERSE_SPARKLES),
    "ripple": (_waves, warps.rippled, warps.RIPPLE),
    "pinch_and_twirl": (_signs, warps.twirled, warps.PINCH_AND_TWIRL),
    "circular_motion_blur": (
        lambda *_: (0,),
        lambda images, strength, _: turning.turned(images, strength),
        turning.CIRCULAR_MOTION,
    ),
    "lines": (_lines, lambda images, _, *draws: lines.crossed(images, *draws), lines.LINES),
    "transverse_chromatic_abberation": (
        lambda state, *_: (state.permutation(3),),
        lens.aberrated,
        lens.ABERRATION,
    ),
}
"""Name: how to draw for one image, the function that takes such draws, and its five strengths."""

IMAGENET_BAR: dict[str, tuple[Draw, Callable, tuple]] = {
    "single_frequency_greyscale": (_wave, waves.waved, waves.SINGLE_FREQUENCY),
    "cocentric_sine_waves": (_rings, waves.ringed, waves.COCENTRIC_WAVES),
    "plasma_noise": (_swirls, waves.swirled, waves.PLASMA),
    "perlin_noise": (_turbulence, perlin.turbulent, perlin.PERLIN),
    "caustic_refraction": (_net, caustics.refracted, caustics.CAUSTIC),
}
"""The same for those that only ImageNet-C-bar has."""

"""Patterns made of sines: `single_frequency_greyscale`, `cocentric_sine_waves` and `plasma_noise`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import pixel_places, to_images, to_planes

SINGLE_FREQUENCY = (1, 1.5, 2, 4.5, 5)


@corruption("single_frequency_greyscale", "noise", group="imagenet_bar")
def single_frequency_greyscale(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Add one plane wave, the same in all channels."""
    larger, smaller, phases, order = rng.uniform(4).double().unbind(1)
    larger = (2 * larger - 1) * math.pi
    pair = torch.stack([larger, (2 * smaller - 1) * larger.abs()], 1)
    frequencies = torch.where(order[:, None] < 0.5, pair, pair.flip(1))
    return waved(images, SINGLE_FREQUENCY[severity - 1], frequencies, 2 * math.pi * phases)


def waved(images: Tensor, strength: float, frequencies: Tensor, phases: Tensor) -> Tensor:
    """Return images plus a wave of `frequencies` (N, 2), across and down in radians a pixel.

    `phases` (N,) are those of the pixel at the origin.
    """
    rows, columns = pixel_places(images)
    across, down = (part[:, None, None] for part in frequencies.unbind(1))
    wave = torch.sin(columns * across + rows * down + phases[:, None, None])
    return to_images(to_planes(images, torch.float64).add_(wave[:, None], alpha=19.6 * strength))


COCENTRIC_WAVES = (3, 5, 8, 9, 10)


@corruption("cocentric_sine_waves", "noise", group="imagenet_bar")
def cocentric_sine_waves(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Add rings that wave about one centre and rise like the teeth of a saw."""
    _, height, width, _ = images.shape
    across, down, frequencies, amplitudes, widths = rng.uniform(5).double().unbind(1)
    centres = torch.stack([across * width, down * height], 1)
    tenth = min(height, width) / 10
    # A ring has some width: the draw is a multiple of 2⁻²⁴ and may be 0.
    widths = (widths * tenth).clamp_(min=tenth * 2**-25)
    return ringed(
        images, COCENTRIC_WAVES[severity - 1], centres, 10 * frequencies, amplitudes * tenth, widths
    )


def ringed(
    images: Tensor, strength: float, centres: Tensor, frequencies: Tensor, amplitudes: Tensor, widths: Tensor
) -> Tensor:
    """Return images plus rings about `centres` (N, 2), as (column, row).

    The radius of a ring swings `frequencies` (N,) times by `amplitudes` (N,), in pixels; so are `widths`.
    """
    rows, columns = pixel_places(images)
    across, down = columns - centres[:, :1, None], rows - centres[:, 1:, None]
    frequency, amplitude, width = (part[:, None, None] for part in (frequencies, amplitudes, widths))
    distance = (across.square() + down.square()).sqrt()
    radius = distance + amplitude * torch.sin(frequency * torch.atan2(across, down))
    tooth = radius.remainder(width) / width - 0.5
    return to_images(to_planes(images, torch.float64).add_(tooth[:, None], alpha=12.8 * strength))


PLASMA = (4.75, 7, 8.5, 9.25, 10)
FEWEST_FOLDS, FOLDS_END = 4, 7


@corruption("plasma_noise", "noise", group="imagenet_bar")
def plasma_noise(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Blend with coloured swirls."""
    times, roughness, sizes = rng.uniform(3).double().unbind(1)
    folds = rng.integers(FOLDS_END - FEWEST_FOLDS) + FEWEST_FOLDS
    sizes = min(images.shape[1:3]) * (0.075 + 0.125 * sizes)
    return swirled(images, PLASMA[severity - 1], 6 * math.pi * times, folds, 0.5 + 0.5 * roughness, sizes)


def swirled(
    images: Tensor, strength: float, times: Tensor, folds: Tensor, roughness: Tensor, sizes: Tensor
) -> Tensor:
    """Return images blended with a plane that is folded `folds` (N,) times at `times` (N,).

    `sizes` (N,) is the plane's unit in pixels. The finer folds are, the weaker; more so where
    `roughness` (N,) is low.
    """
    rows, columns = pixel_places(images)
    time, fold, rough, size = (part[:, None, None] for part in (times, folds, roughness, sizes))
    across, down = torch.broadcast_tensors(columns / size, rows / size)
    frequency, delay, weakness = 1.0, 1.0, torch.ones_like(rough)
    for turn in range(FOLDS_END - 1):
        # Where the plane is folded no more, the last fold weighs nothing.
        strength_of_fold = (turn < fold) / weakness
        first = torch.cos((down * frequency).add_(time / delay)).mul_(strength_of_fold)
        second = torch.sin((across * frequency).add_(time / delay)).mul_(strength_of_fold)
        across = across + first.sub(second, alpha=0.3)
        down = down + second.add_(first, alpha=0.3)
        frequency, delay, weakness = frequency * 1.93, delay * 1.15, weakness * (2.25 - rough)
    colours = [
        torch.sin(across - time),
        torch.sin((across + down + torch.sin(time)) / 2),
        torch.sin(down + time),
    ]
    share = 6.4 * strength
    blended = to_planes(images, torch.float64).mul_(1 - share / 255) + torch.stack(colours, 1).mul_(share)
    return to_images(blended)

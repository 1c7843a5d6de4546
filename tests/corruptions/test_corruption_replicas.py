"""Single steps of the stochastic corruptions against plain, slow forms of the reference's algorithms."""

import numpy as np
import pytest
import torch

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions import SEVERITIES
from winninghand.corruptions.blur import displaced
from winninghand.corruptions.parameters import MOTION
from winninghand.corruptions.planes import streaked
from winninghand.corruptions.plasma import plasma
from winninghand.corruptions.spatter import canny_edges, chamfer_distances


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_glass_copies_what_the_references_swap_through_views_copies(reach):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    down, across = generator.integers(-reach, reach, (2, 32, 32))
    expected = image.copy()
    for row in range(32 - reach, reach, -1):
        for column in range(32 - reach, reach, -1):
            there = row + down[row, column], column + across[row, column]
            expected[row, column], expected[there] = expected[there], expected[row, column]
    drawn = torch.from_numpy(reach - 1 - np.stack([down, across]))[None]
    assert np.array_equal(displaced(torch.from_numpy(image)[None], drawn, reach)[0].numpy(), expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_some_angle_gives_exactly_each_motion_blur_of_the_reference(reference, severity):
    radius, sigma = MOTION.cifar10_c[severity - 1]
    angles = torch.arange(-45, 45, 0.1, dtype=torch.float64)
    for place in range(3):
        image = torch.from_numpy(reference["clean"][place]).expand(len(angles), -1, -1, -1)
        blurred = streaked(image, angles, radius, sigma).numpy()
        assert (blurred == reference[f"motion_blur_{severity}"][place]).all((1, 2, 3)).any()


def test_glass_blur_without_a_blur_copies_from_above_and_before(reference):
    clean, glassy = reference["clean"], reference["glass_blur_1"]
    moved = [clean[:, 2 - up : 32 - up, 2 - left : 32 - left] for up in (0, 1) for left in (0, 1)]
    assert np.array_equal(glassy[:, :2], clean[:, :2]) and np.array_equal(glassy[:, :, :2], clean[:, :, :2])
    assert np.any([(part == glassy[:, 2:, 2:]).all(-1) for part in moved], axis=0).all()


@pytest.mark.parametrize("marks", [1, 3, 40])
def test_chamfer_distances_are_shortest_paths_of_the_metrics_steps(marks):
    generator = np.random.default_rng(marks)
    marked = np.zeros((15, 21), bool)
    marked.flat[generator.choice(marked.size, marks, replace=False)] = True
    distance = np.where(marked, 0, np.inf)
    steps = [(0, 1, 1.0), (1, 0, 1.0), (1, 1, 1.4), (1, -1, 1.4)]
    steps += [(1, 2, 2.1969), (2, 1, 2.1969), (1, -2, 2.1969), (2, -1, 2.1969)]
    steps += [(-row, -column, cost) for row, column, cost in steps]
    for _ in range(25):
        padded = np.pad(distance, 2, constant_values=np.inf)
        near = [padded[2 + row : 17 + row, 2 + column : 23 + column] + cost for row, column, cost in steps]
        distance = np.minimum(distance, np.min(near, axis=0))
    found = chamfer_distances(torch.from_numpy(marked)[None], 10)[0].numpy()
    assert np.allclose(found, np.minimum(distance, 10), atol=1e-5)


def test_canny_finds_the_rim_of_a_square_and_keeps_what_is_weak_only_where_it_goes_on():
    layer = torch.zeros(3, 32, 32, dtype=torch.int32)
    layer[0, 10:20, 10:20] = 200
    layer[1:, 10:20, 10:20] = 20
    layer[2, 10:20, 20:30] = 200
    strong, weak, continued = canny_edges(layer, 50, 150)
    rows, columns = torch.nonzero(strong, as_tuple=True)
    assert not strong[12:18, 12:18].any()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (9, 19, 9, 19)
    assert not weak.any()
    assert continued[9:11, 12:18].any(0).all() and continued[12:18, 9:11].any(1).all()


@pytest.mark.parametrize("side", [28, 32, 96])
def test_plasma_spans_the_unit_interval_and_wraps_around(side):
    maps = plasma(side, 3, CounterRNG("fog", torch.arange(20)))
    assert maps.shape[1] == {28: 32, 32: 32, 96: 128}[side]
    assert torch.equal(maps.amin((1, 2)), torch.zeros(20)) and torch.equal(maps.amax((1, 2)), torch.ones(20))
    seam = (maps[:, -1] - maps[:, 0]).abs().mean()
    inside = (maps[:, 5] - maps[:, 4]).abs().mean()
    assert seam < 2 * inside

"""PRIME: its three primitives, and their chains on both paths."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from winninghand.augmentation import make_domain
from winninghand.augmentation.augmix import draw_shares
from winninghand.augmentation.prime import Prime, Primitives, mix_primitives, mix_tensors
from winninghand.augmentation.prime_kernels import COLOR, FILTER, WARP

STILL = {"name": "prime", "padding": 0, "flip": False}
COUNT, SIZE = 40, (32, 27)


def domain(**settings: object) -> Prime:
    made = make_domain(STILL | settings)
    assert isinstance(made, Prime)
    return made


@pytest.fixture
def images(photographs: Tensor) -> Tensor:
    return photographs[:COUNT, :, : SIZE[1]].permute(0, 3, 1, 2).float().div(255).contiguous()


def one_step(operation: int, count: int = COUNT, **settings: object) -> Primitives:
    """Return primitives of one view, one chain and one step, which is the operation."""
    drawn = domain(**settings)._primitives((count, 1, 1, 1), SIZE, torch.Generator().manual_seed(0))
    return drawn._replace(operations=torch.full_like(drawn.operations, operation))


def chain_alone(images: Tensor, primitives: Primitives) -> Tensor:
    return mix_primitives(images, primitives, torch.tensor([0.0, 1.0]).expand(len(images), 1, 2))[1]


@pytest.mark.parametrize(("operation", "slack"), [(FILTER, 1e-4), (COLOR, 1e-3), (WARP, 1e-5)])
def test_both_paths_give_the_same(operation: int, slack: float, images: Tensor):
    primitives = one_step(operation)
    shares = draw_shares((COUNT, 1, 1), 1.0, torch.Generator().manual_seed(1))
    compiled = mix_primitives(images, primitives, shares)[1:]
    torch.testing.assert_close(compiled, mix_tensors(images, primitives, shares), atol=slack, rtol=0)


def test_chains_are_the_same_on_both_paths_but_for_what_curves_magnify(images: Tensor):
    generator = torch.Generator().manual_seed(0)
    primitives = domain()._primitives((COUNT, 2, 3, 3), SIZE, generator)
    shares = draw_shares((COUNT, 2, 3), 1.0, generator)
    views = mix_primitives(images, primitives, shares)
    assert torch.equal(views[0], images)
    difference = (views[1:] - mix_tensors(images, primitives, shares)).abs()
    assert difference.mean() < 1e-5
    assert (difference > 1e-3).float().mean() < 1e-3


def test_at_strength_nought_nothing_happens(photographs: Tensor):
    still = domain(filter=0.0, color=0.0, warp=0.0)
    views = still.views(photographs, torch.Generator().manual_seed(0))
    assert views.shape[0] == 3
    torch.testing.assert_close(views, views[:1].expand_as(views), atol=1e-6, rtol=0)
    assert torch.equal(views[0], photographs.permute(0, 3, 1, 2) / 255)


def test_a_filter_is_centred_and_padded_with_nought(images: Tensor):
    assert torch.equal(chain_alone(images, one_step(FILTER, filter=0.0)), images)
    primitives = one_step(FILTER)
    kernels = primitives.filters.view(COUNT, 1, 3, 3).repeat_interleave(3, dim=0)
    expected = functional.conv2d(images.flatten(0, 1)[None], kernels, padding=1, groups=3 * COUNT)
    expected = expected.view_as(images).clamp(0, 1)
    torch.testing.assert_close(chain_alone(images, primitives), expected, atol=1e-4, rtol=0)


def test_a_filter_s_spread_is_uniform_up_to_its_limit():
    filters = one_step(FILTER, count=4000, filter=2.0).filters.view(4000, 9)
    filters[:, 4] -= 1
    # The mean square of uniform spreads up to 2 is 4/3.
    assert filters.square().mean().item() == pytest.approx(4 / 3, rel=0.06)
    assert filters.mean(0).abs().max() < 0.1


@pytest.mark.parametrize("waves", [3, 100])
def test_a_colour_curve_is_its_sine_series(waves: int, images: Tensor):
    primitives = one_step(COLOR, waves=waves)
    amplitudes = primitives.waves.view(COUNT, 3, waves)
    numbers = torch.arange(1, waves + 1, dtype=torch.float64)
    sines = (math.pi * images.double()[..., None] * numbers).sin()
    series = (sines * amplitudes[:, :, None, None]).sum(-1)
    expected = (images + series).clamp(0, 1).float()
    torch.testing.assert_close(chain_alone(images, primitives), expected, atol=2e-4, rtol=0)


def test_a_colour_curve_leaves_black_and_white_alone():
    ends = torch.tensor([0.0, 1.0]).expand(COUNT, 3, *SIZE[:1], 2).contiguous()
    assert torch.equal(chain_alone(ends, one_step(COLOR)), ends)


def test_the_waves_of_a_curve_have_the_drawn_temperature_and_end():
    waves = one_step(COLOR, count=4000, color=0.04, waves=10).waves.flatten(0, 3)
    used = waves != 0
    ends = used.any(1).sum(1)
    assert set(ends.tolist()) == set(range(1, 11))
    assert torch.equal(used.all(1).sum(1), ends)
    assert waves[:, :, 0].square().mean().item() == pytest.approx(0.02, rel=0.1)


def test_a_displacement_keeps_the_border_and_has_the_published_size():
    found = domain(waves=8)._displacements(2000, (33, 33), torch.Generator().manual_seed(0))
    assert found.shape == (2000, 2, 33, 33)
    for border in (found[..., 0, :], found[..., -1, :], found[..., 0], found[..., -1]):
        assert border.abs().max() < 1e-4
    typical = found[:, :, 16, 16].square().mean(1).sqrt()
    # The weakest field moves the middle by about half a pixel; it is not the strongest by far.
    assert typical.median() > 0.3
    assert typical.max() < 33
    half = domain(waves=8, warp=0.5)._displacements(2000, (33, 33), torch.Generator().manual_seed(0))
    torch.testing.assert_close(half, found / 2)


def test_a_displaced_image_is_read_bilinearly(images: Tensor):
    primitives = one_step(WARP)
    found = chain_alone(images, primitives)
    assert found.min() >= images.min() and found.max() <= images.max()
    # An image of coordinates shows from where each pixel was read.
    height, width = SIZE
    down = torch.linspace(0, 1, height)[:, None].expand(SIZE)
    across = torch.linspace(0, 1, width).expand(SIZE)
    places = chain_alone(torch.stack([down, across, down]).expand(COUNT, -1, -1, -1).contiguous(), primitives)
    grid = torch.stack([places[:, 1], places[:, 0]], dim=-1) * 2 - 1
    expected = functional.grid_sample(images, grid, padding_mode="border", align_corners=True)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert (places[0] - places[COUNT - 1]).abs().max() == 0, "one field serves 64 images"


def test_many_images_have_several_fields():
    fields = domain()._primitives((130, 2, 1, 1), (8, 8), torch.Generator().manual_seed(0)).fields
    assert fields.shape == (130, 2, 1)
    assert [len(fields[part].unique()) for part in (slice(0, 64), slice(64, 128), slice(128, 130))] == [
        2,
        2,
        2,
    ]
    assert len(fields.unique()) == 6


def test_chains_have_one_to_three_primitives_of_each_kind_alike():
    operations = domain()._primitives((3000, 1, 1, 3), (4, 4), torch.Generator().manual_seed(0)).operations
    lengths = (operations > 0).sum(-1)
    assert (torch.bincount(lengths.flatten()) / 3000 - torch.tensor([0, 1, 1, 1]) / 3).abs().max() < 0.03
    kinds = torch.bincount(operations[operations > 0], minlength=4)[1:]
    assert (kinds / kinds.sum() - 1 / 3).abs().max() < 0.03

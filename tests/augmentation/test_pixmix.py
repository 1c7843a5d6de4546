"""PixMix and its fractals."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from winninghand.augmentation import make_domain
from winninghand.augmentation.fractals import _systems, fractals
from winninghand.augmentation.pixmix import _mix

STILL = {"name": "pixmix", "padding": 0, "flip": False}


def test_fractals_are_coloured_structures_all_different():
    found = fractals(40, 32, 24, torch.Generator().manual_seed(0))
    assert found.shape == (40, 32, 24, 3)
    assert found.min() >= 0
    assert found.max() <= 1
    # A figure on a ground: many pixels alike, and many that are not.
    ground = (found == found.flatten(1, 2).mode(1).values[:, None, None]).all(-1).float().mean((1, 2))
    assert (ground < 0.97).all()
    assert 0.3 < ground.mean() < 0.95
    assert torch.pdist(found.flatten(1)).min() > 1


def test_maps_contract_and_meet_the_condition_on_complexity():
    maps, chances = _systems(200, torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(maps[..., :2])
    assert values.max() < 1
    used = chances.diff(dim=1, prepend=torch.zeros(200, 1)) > 0
    sizes = used.sum(1)
    assert set(sizes.tolist()) == set(range(2, 9))
    complexity = ((values[..., 0] + 2 * values[..., 1]) * used).sum(1)
    assert (complexity >= (5 + sizes) / 2 - 1e-4).all()
    assert (complexity <= (6 + sizes) / 2 + 1e-4).all()


def test_no_rounds_leave_half_of_the_images_alone(photographs: Tensor):
    found = make_domain(STILL | {"rounds": 0}).views(photographs, torch.Generator().manual_seed(0))[0]
    same = (found.mul(255).round().byte().permute(0, 2, 3, 1) == photographs).flatten(1).all(1)
    assert 0.35 < same.float().mean() < 0.75


def test_a_higher_beta_mixes_less(photographs: Tensor):
    def change(beta: float) -> float:
        domain = make_domain(STILL | {"beta": beta, "severity": 0.1})
        found = domain.views(photographs, torch.Generator().manual_seed(0))[0]
        return float((found - photographs.permute(0, 3, 1, 2) / 255).abs().mean())

    assert change(1.0) > 1.3 * change(10.0)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_weights_follow_their_two_laws(beta: float):
    weights = make_domain(STILL | {"beta": beta})._weights((50_000,), torch.Generator().manual_seed(0))
    image, partner = weights
    subtracts = partner < 0
    mean = 1 / (1 + beta)
    assert subtracts.float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert partner[~subtracts].mean().item() == pytest.approx(mean, abs=0.01)
    assert partner[subtracts].mean().item() == pytest.approx(-mean, abs=0.01)
    assert image[~subtracts].mean().item() == pytest.approx(1 - mean, abs=0.01)
    assert image[subtracts].mean().item() == pytest.approx(1 + mean, abs=0.01)


@pytest.mark.parametrize(("first", "second"), [(1.0, 0.0), (0.8, 0.3), (1.2, -0.4)])
def test_sums_are_taken_on_a_signed_scale_and_products_on_a_doubled_one(first: float, second: float):
    image, partner = torch.tensor([0.0, 0.3, 0.5, 1.0]), torch.tensor([0.0, 0.9, 0.2, 0.6])
    weights = torch.tensor([first, second])
    total = (first * (2 * image - 1) + second * (2 * partner - 1) + 1) / 2
    product = (2 * image) ** first * (2 * partner).clamp(min=1e-37) ** second / 2
    torch.testing.assert_close(_mix(image, partner, weights, torch.tensor(True)), total.clamp(0, 1))
    torch.testing.assert_close(_mix(image, partner, weights, torch.tensor(False)), product.clamp(0, 1))

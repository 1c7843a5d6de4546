"""AFA: plane waves of a stated norm."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from winninghand.augmentation import make_domain
from winninghand.augmentation.afa import plane_waves

STILL = {"name": "afa", "padding": 0, "flip": False}


@pytest.mark.parametrize(("size", "norm"), [((32, 32), 1.0), ((64, 64), 2.0), ((32, 18), 0.75)])
def test_a_wave_has_its_norm_in_each_channel(size: tuple[int, int], norm: float):
    waves = plane_waves((2, 50), size, torch.Generator().manual_seed(0))
    assert waves.shape == (2, 50, *size, 3)
    found = waves.flatten(2, 3).norm(dim=2)
    torch.testing.assert_close(found, torch.full_like(found, norm))


def test_a_wave_has_one_frequency_in_one_direction():
    waves = plane_waves((400,), (32, 32), torch.Generator().manual_seed(0)).movedim(-1, 1).flatten(0, 1)
    # Along rows and columns, w(y + 1, x) + w(y − 1, x) = 2 cos(speed) w(y, x).
    for along in (waves, waves.mT):
        around, middle = along[:, 2:] + along[:, :-2], along[:, 1:-1]
        speed = (around * middle).sum((1, 2)) / middle.square().sum((1, 2))
        residue = (around - speed[:, None, None] * middle).abs().amax((1, 2))
        assert residue.max() < 1e-4
        assert speed.abs().max() <= 2 + 1e-4


def test_a_strength_is_exponential_with_its_mean():
    grey = torch.full((3000, 8, 8, 3), 128, dtype=torch.uint8)
    # A side of 8 pixels: a quarter of the strength's norm, and too little to be clamped.
    domain = make_domain(STILL | {"jsd": False, "strength": 0.4})
    [found] = domain.views(grey, torch.Generator().manual_seed(0))
    strengths = 4 * (found - 128 / 255).flatten(2).norm(dim=2).flatten()
    assert strengths.mean().item() == pytest.approx(0.4, rel=0.03)
    assert (strengths > 0.4 * math.log(10)).float().mean().item() == pytest.approx(0.1, abs=0.01)


def test_without_strength_nothing_happens(photographs: Tensor):
    found = make_domain(STILL | {"strength": 0.0}).views(photographs, torch.Generator().manual_seed(0))
    assert found.shape[0] == 3
    assert torch.equal(found, (photographs.permute(0, 3, 1, 2) / 255).expand(3, -1, -1, -1, -1))


def test_the_loss_weighs_the_divergence_ten_times():
    logits, labels = torch.randn(3, 6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    tenfold = make_domain({"name": "augmix", "jsd_weight": 10.0})
    assert torch.equal(make_domain("afa").loss(logits, labels), tenfold.loss(logits, labels))

"""TrivialAugment: one operation per image, over the wide space."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from winninghand.augmentation import make_domain, trivialaugment
from winninghand.augmentation.operations import Operation


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """The operations and magnitudes of 20,000 images."""
    kept: list[Tensor] = []

    def keep(images: Tensor, operations: Tensor, magnitudes: Tensor, shares: Tensor) -> Tensor:
        kept.extend([operations.flatten(), magnitudes.flatten()])
        return images[None].float()

    monkeypatch.setattr(trivialaugment, "mix_chains", keep)
    images = torch.zeros(20_000, 1, 1, 3, dtype=torch.uint8)
    make_domain("trivialaugment").views(images, torch.Generator().manual_seed(0))
    return kept[0], kept[1]


def test_all_operations_are_equally_likely(drawn: tuple[Tensor, Tensor]):
    counts = torch.bincount(drawn[0], minlength=len(Operation))
    assert (counts / 20_000 - 1 / 14).abs().max() < 0.01


@pytest.mark.parametrize(
    ("operation", "low", "high", "values"),
    [
        (Operation.POSTERIZE, 2, 8, 7),
        (Operation.SOLARIZE, 0, 256, 31),
        (Operation.BRIGHTNESS, 0.01, 1.99, 61),
        (Operation.CONTRAST, 0.01, 1.99, 61),
        (Operation.COLOR, 0.01, 1.99, 61),
        (Operation.SHARPNESS, 0.01, 1.99, 61),
        (Operation.ROTATE, -135, 135, 61),
        (Operation.SHEAR_Y, -0.99, 0.99, 61),
        (Operation.TRANSLATE_X, -32, 32, 61),
    ],
)
def test_strengths_cover_the_wide_space(
    drawn: tuple[Tensor, Tensor], operation: Operation, low: float, high: float, values: int
):
    magnitudes = drawn[1][drawn[0] == operation]
    assert magnitudes.min().item() == pytest.approx(low, abs=1e-5)
    assert magnitudes.max().item() == pytest.approx(high, abs=1e-5)
    assert len(magnitudes.mul(1000).round().unique()) == values


def test_some_images_stay_and_most_change(photographs: Tensor):
    domain = make_domain({"name": "trivialaugment", "padding": 0, "flip": False})
    found = domain.views(photographs, torch.Generator().manual_seed(0))[0]
    same = (found.mul(255).round().byte().permute(0, 2, 3, 1) == photographs).flatten(1).all(1)
    assert 0.05 < same.float().mean() < 0.4

"""HybridAugment: what is low and what is high, whose amplitudes and whose phases."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from winninghand import InputError
from winninghand.augmentation import make_domain
from winninghand.augmentation.hybridaugment import blur, with_amplitudes

STILL = {"name": "hybridaugment", "padding": 0, "flip": False}
PAIRED = STILL | {"single": False}
SINGLE = STILL | {"paired": False}


@pytest.fixture
def images(photographs: Tensor) -> Tensor:
    return photographs[:, :, :27].float() / 255


def views(spec: dict[str, object], photographs: Tensor, seed: int = 0) -> Tensor:
    found = make_domain(spec).views(photographs, torch.Generator().manual_seed(seed))
    return found.movedim(-3, -1)


def test_the_blur_has_the_published_taps(images: Tensor):
    taps = torch.tensor([0.1065, 0.7870, 0.1065])
    padded = functional.pad(images.permute(3, 0, 1, 2), (1, 1, 1, 1), mode="reflect")
    kernel = (taps[:, None] * taps)[None, None]
    expected = functional.conv2d(padded.flatten(0, 1)[:, None], kernel).view(3, *images.shape[:3])
    torch.testing.assert_close(blur(images), expected.permute(1, 2, 3, 0), atol=3e-4, rtol=0)
    torch.testing.assert_close(blur(torch.ones(1, 1, 2, 3)), torch.ones(1, 1, 2, 3))


def test_an_image_with_its_own_amplitudes_is_itself(images: Tensor):
    torch.testing.assert_close(with_amplitudes(images, images), images, atol=1e-5, rtol=0)


def test_amplitudes_are_the_other_s_and_phases_its_own(images: Tensor):
    others = images.flip(0)
    found = torch.fft.fftn(with_amplitudes(images, others).double(), dim=(1, 2, 3))
    own, other = (torch.fft.fftn(which.double(), dim=(1, 2, 3)) for which in (images, others))
    torch.testing.assert_close(found.abs(), other.abs(), atol=2e-3, rtol=1e-3)
    strong = (own.abs() > 1) & (other.abs() > 1)
    torch.testing.assert_close((found / found.abs())[strong], (own / own.abs())[strong], atol=1e-3, rtol=0)


def test_a_pair_has_the_high_part_of_another_image(photographs: Tensor, images: Tensor):
    plain, mixed = views(PAIRED | {"swap": False, "probability": 1.0}, photographs[:, :, :27])
    assert torch.equal(plain, images)
    low = blur(images)
    candidates = (low[:, None] + (images - low)[None]).clamp(0, 1)
    distances = (candidates - mixed[:, None]).abs().amax((2, 3, 4))
    assert (distances.amin(1) < 1e-5).all()
    assert len(distances.argmin(1).unique()) > 0.9 * len(images)


@pytest.mark.parametrize("swap", [False, True])
def test_a_pair_is_mixed_with_its_probability(photographs: Tensor, swap: bool):
    plain, mixed = views(PAIRED | {"swap": swap}, photographs.repeat(5, 1, 1, 1))
    assert (plain != mixed).flatten(1).any(1).float().mean() == pytest.approx(0.6, abs=0.06)


def test_a_swap_takes_amplitudes_of_another_low_part(photographs: Tensor, images: Tensor):
    _, mixed = views(PAIRED | {"probability": 1.0}, photographs[:, :, :27])

    # Black and white are cut off in places: the phases are still its own more than anybody else's.
    def phases(which: Tensor) -> Tensor:
        spectrum = torch.fft.fftn(which, dim=(1, 2, 3))[:, :5, :5].flatten(1)
        return torch.view_as_real(spectrum / spectrum.abs().clamp(min=1e-6)).flatten(1)

    nearest = (phases(mixed) @ phases(images).T).argmax(1)
    assert (nearest == torch.arange(len(images))).float().mean() > 0.9


def test_a_single_image_is_mixed_with_its_probability(photographs: Tensor):
    never, always = (
        views(SINGLE | {"swap": False, "single_probability": chance}, photographs)[0] for chance in (0.0, 1.0)
    )
    levels = never * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    assert 0.02 < (never - always).abs().mean() < 0.2
    half = views(SINGLE | {"swap": False}, photographs)[0]
    same = (half == never).flatten(1).all(1)
    assert same.float().mean() == pytest.approx(0.5, abs=0.15)
    assert torch.equal(half[~same], always[~same])


def test_both_parts_of_the_method_make_two_views(photographs: Tensor):
    both = views(STILL, photographs)
    single = views(SINGLE, photographs)
    assert both.shape[0] == 2
    assert torch.equal(both[0], single[0])


def test_the_loss_is_the_sum_over_views():
    logits, labels = torch.randn(2, 6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    expected = sum(functional.cross_entropy(view, labels, label_smoothing=0.1) for view in logits)
    torch.testing.assert_close(make_domain("hybridaugment").loss(logits, labels, 0.1), expected)


def test_neither_single_nor_paired_is_refused():
    with pytest.raises(InputError, match="paired: set it or single, or both, to true"):
        make_domain({"name": "hybridaugment", "single": False, "paired": False})

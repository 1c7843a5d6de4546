"""AugMix: its views, its loss, and its likeness to the Pillow implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from torch import Tensor
from torch.nn import functional

from benchmarks.augmix_in_pillow import augmix as augmix_in_pillow
from winninghand.augmentation import make_domain
from winninghand.augmentation.augmix import AUGMIX_OPERATIONS, draw_operations, draw_shares
from winninghand.augmentation.consistency import jensen_shannon
from winninghand.augmentation.operations import Operation

STILL = {"name": "augmix", "padding": 0, "flip": False}


def unit(images: Tensor) -> Tensor:
    return images.permute(0, 3, 1, 2).float() / 255


def test_the_first_view_is_clean_and_all_share_flip_and_crop(photographs: Tensor):
    domain = make_domain({"name": "augmix", "severity": 0.1})
    found = domain.views(photographs, torch.Generator().manual_seed(0))
    clean = make_domain("clean").views(photographs, torch.Generator().manual_seed(0))
    assert found.shape[0] == 3
    assert torch.equal(found[0], clean[0])
    # Tones move even at the lowest level, edges hardly: the shapes of all views correlate.
    edges = found.diff(dim=-1).abs().sum(2).flatten(2)
    for view in edges[1:]:
        alike = functional.cosine_similarity(view, edges[0])
        assert alike.mean() > 0.9
    assert not torch.equal(found[1], found[2])


def test_without_divergence_there_is_one_augmented_view(photographs: Tensor):
    domain = make_domain(STILL | {"jsd": False})
    found = domain.views(photographs, torch.Generator().manual_seed(0))
    assert found.shape[0] == 1
    assert (found[0] - unit(photographs)).abs().mean() > 0.02


def test_likeness_to_pillow_in_distribution(photographs: Tensor):
    images = photographs.repeat(20, 1, 1, 1)
    domain = make_domain(STILL | {"jsd": False})
    ours = domain.views(images, torch.Generator().manual_seed(0))[0]
    generator = np.random.default_rng(0)
    theirs = np.stack([augmix_in_pillow(Image.fromarray(pixels), generator) for pixels in images.numpy()])
    peer = torch.from_numpy(theirs).permute(0, 3, 1, 2)

    def distance(views: Tensor) -> float:
        return float((views - unit(images)).square().mean((1, 2, 3)).sqrt().mean())

    def radial(views: Tensor) -> Tensor:
        power = torch.fft.fft2(views).abs().square().mean((0, 1))
        frequency = torch.fft.fftfreq(32) * 32
        radius = (frequency[:, None].square() + frequency.square()).sqrt().round().long().clamp(max=16)
        total = torch.zeros(17).scatter_add_(0, radius.flatten(), power.flatten())
        return total / torch.bincount(radius.flatten())

    assert distance(ours) == pytest.approx(distance(peer), rel=0.05)
    torch.testing.assert_close(ours.mean((0, 2, 3)), peer.mean((0, 2, 3)), atol=0.01, rtol=0)
    torch.testing.assert_close(ours.std((0, 2, 3)), peer.std((0, 2, 3)), atol=0.01, rtol=0)
    torch.testing.assert_close(radial(ours), radial(peer), atol=0, rtol=0.08)


def test_operations_and_levels_are_drawn_from_the_reference_s_ranges():
    operations, magnitudes = draw_operations((20_000,), 10.0, (48, 30), torch.Generator().manual_seed(0))
    counts = torch.bincount(operations, minlength=len(Operation))[list(AUGMIX_OPERATIONS)]
    assert (counts / 20_000 - 1 / 9).abs().max() < 0.01
    ranges = {
        Operation.POSTERIZE: (0, 4),
        Operation.SOLARIZE: (0, 256),
        Operation.ROTATE: (-30, 30),
        Operation.SHEAR_X: (-0.3, 0.3),
        Operation.TRANSLATE_X: (-10, 10),
        Operation.TRANSLATE_Y: (-16, 16),
    }
    for operation, (low, high) in ranges.items():
        drawn = magnitudes[operations == operation]
        slack = 0.05 * (high - low) + (operation == Operation.POSTERIZE)
        assert low <= drawn.min() <= low + slack
        assert high - slack <= drawn.max() <= high
        if operation != Operation.SHEAR_X:
            assert torch.equal(drawn, drawn.round())


def test_the_severity_bounds_the_levels():
    operations, magnitudes = draw_operations((5_000,), 3.0, (32, 32), torch.Generator().manual_seed(0))
    assert magnitudes[operations == Operation.ROTATE].abs().max() == 8
    assert set(magnitudes[operations == Operation.POSTERIZE].tolist()) == {3.0, 4.0}


def test_the_loss_is_that_of_the_paper():
    logits = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    clean, first, second = (functional.softmax(view, -1) for view in logits)
    mixture = ((clean + first + second) / 3).clamp(1e-7, 1).log()
    divergence = sum(functional.kl_div(mixture, p, reduction="batchmean") for p in (clean, first, second)) / 3
    expected = functional.cross_entropy(logits[0], labels, label_smoothing=0.1) + 12 * divergence
    torch.testing.assert_close(make_domain("augmix").loss(logits, labels, 0.1), expected)
    weightless = make_domain({"name": "augmix", "jsd_weight": 0.0})
    torch.testing.assert_close(weightless.loss(logits, labels), functional.cross_entropy(logits[0], labels))


@given(arrays.arrays(np.float32, (3, 4, 6), elements=st.floats(-50, 50, width=32)))
def test_the_divergence_lies_between_nought_and_the_logarithm_of_the_views(logits: np.ndarray):
    views = torch.from_numpy(logits).requires_grad_()
    divergence = jensen_shannon(views)
    divergence.backward()
    assert -1e-5 <= divergence.item() <= math.log(3) + 1e-5
    assert views.grad is not None
    assert views.grad.isfinite().all()
    assert jensen_shannon(views[:1].expand(3, -1, -1)).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.01, 1.0, 50.0])
def test_shares_sum_to_one_and_concentrate_with_alpha(alpha: float):
    white = torch.full((200, 8, 8, 3), 255, dtype=torch.uint8)
    domain = make_domain(STILL | {"jsd": False, "alpha": alpha, "depth": 2, "width": 2})
    shares = draw_shares((2_000, 1, 2), alpha, torch.Generator().manual_seed(0))[:, 0]
    assert (shares.sum(-1) - 1).abs().max() < 1e-5
    expected_spread = 0.25 / (2 * alpha + 1)
    assert shares[:, 0].var().item() == pytest.approx(expected_spread, rel=0.15)
    found = domain.views(white, torch.Generator().manual_seed(0))
    assert found.max() <= 1

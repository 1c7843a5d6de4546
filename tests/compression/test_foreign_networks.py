"""Networks of torchvision and timm, where these are installed."""

import pytest
import torch
from random_networks import train, zeros

import winninghand as wh
from winninghand.compression import prunable_weights

# Torchvision that was built for another torch raises a RuntimeError when it is imported.
MISSING = (ImportError, RuntimeError)


def compressed(module, method):
    total = sum(weight.numel() for weight in prunable_weights(module).values())
    train(module, wh.Pruner(module, method, 0.9, 3, epochs=2), 3)
    assert zeros(prunable_weights(module).values()) == pytest.approx(0.9 * total, abs=0.5)


@pytest.mark.parametrize("method", ["gmp", "bp"])
def test_a_torchvision_network(method):
    models = pytest.importorskip(
        "torchvision.models", exc_type=MISSING, reason="torchvision cannot be imported here"
    )
    torch.manual_seed(0)
    compressed(models.mobilenet_v3_small(num_classes=5), method)


@pytest.mark.parametrize("method", ["gmp", "bp"])
def test_a_timm_network(method):
    timm = pytest.importorskip("timm", exc_type=MISSING, reason="timm cannot be imported here")
    torch.manual_seed(0)
    compressed(
        timm.create_model("vit_tiny_patch16_224", img_size=6, patch_size=2, depth=2, num_classes=5), method
    )

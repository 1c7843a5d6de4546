"""Networks of torchvision and timm, where these are installed."""

import pytest
import torch
from random_networks import train, zeros

import winninghand as wh
from winninghand.compression import prunable_weights
from winninghand.compression.budget import kept_count

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


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "efficientnet_b0"])
def test_every_layer_of_a_torchvision_network_lives_at_80_percent(name, tiny_images):
    models = pytest.importorskip(
        "torchvision.models", exc_type=MISSING, reason="torchvision cannot be imported here"
    )
    torch.manual_seed(0)
    network, settings = getattr(models, name)(num_classes=2), {"fraction_per_round": 0.8}

    def compressed(**compression):
        return wh.compress(network, tiny_images, sparsity=0.8, epochs=1, compression=settings | compression)

    layers = compressed().inspect().layers
    total, kept = (
        sum(counts) for counts in zip(*((layer.size, layer.nonzero) for layer in layers), strict=True)
    )
    assert kept == kept_count(total, 0.8)
    assert all(layer.nonzero >= max(1, 0.03 * layer.size) for layer in layers)
    assert len(prunable_weights(network)) == len(layers) + 1  # the head is left alone
    if name == "efficientnet_b0":  # whose narrow layers a global budget would empty
        with pytest.raises(wh.InputError, match=r"layers of 81 would have no weight left: features\."):
            compressed(layer_floor=0.0)

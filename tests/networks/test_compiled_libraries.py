"""Networks of libraries by the engine: `make test-networks` installs the libraries."""

import pytest
import torch

import winninghand as wh
from winninghand.engine.program import ChannelNorm, Channels
from winninghand.engine.tracing import trace

for library in ("torchvision", "timm"):
    # Torchvision that was built for another torch raises a RuntimeError.
    pytest.importorskip(library, exc_type=(ImportError, RuntimeError), reason=f"needs {library}")


@pytest.mark.parametrize(
    "name",
    [
        "timm:resnet18d",
        "timm:seresnet18",
        "timm:mobilenetv2_050",
        "timm:mobilenetv3_small_050",
        "timm:convnext_atto",
        "timm:efficientnet_b0",
        "torchvision:resnet18",
        "torchvision:mobilenet_v3_small",
        "torchvision:shufflenet_v2_x0_5",
    ],
)
def test_the_engine_runs_it(name):
    network = wh.network(name, classes=5)
    network.train()(torch.rand(8, 3, 64, 64))
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                # As large as before, so that something comes out at the end.
                weight.mul_((torch.rand(weight.shape) < 0.3) * 1.8)
    card = wh.Card.from_module(network.eval(), list("abcde"), (64, 64))
    compiled = wh.compile(card, threads=1)
    assert compiled.runtime == "sparse"
    images = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        expected = card(images)
    torch.testing.assert_close(compiled(images), expected, atol=1e-4, rtol=1e-4)
    kinds = {type(step) for step in trace(card, checked=False).steps}
    assert (ChannelNorm in kinds) == ("convnext" in name)
    assert (Channels in kinds) == ("shufflenet" in name)


def test_attention_goes_to_the_next_best():
    network = wh.network("timm:vit_tiny_patch16_224", classes=5, img_size=32, depth=1)
    compiled = wh.compile(wh.Card.from_module(network, list("abcde"), (32, 32)))
    assert compiled.runtime != "sparse"
    assert compiled.reason

"""The networks of published weights go the whole way: recipe, card, inspection, engine, ONNX."""

from __future__ import annotations

import pytest
import torch

import winninghand as wh
from winninghand.exports import export

TINY = {
    "resnet50": {"width": 2},
    "dm_wideresnet": {"depth": 10, "widen_factor": 1, "width": 4},
    "preactresnet18": {"width": 4},
    "cifar_vgg": {"depth": 11, "width": 4},
}
COMPILED = ("resnet50", "dm_wideresnet")  # the stem of ImageNet; padding at the end alone


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_from_a_recipe_to_a_file_of_onnx(name, tiny_images, tmp_path):
    recipe = {
        "network": {"name": name, **TINY[name]},
        "compression": {"method": "gmp", "sparsity": 0.5},
        "training": {"epochs": 1},
    }
    card = wh.train(recipe, tiny_images, tmp_path / "run")
    assert card.inspect().sparsity == pytest.approx(0.5, abs=0.1)
    assert card.metadata.architecture == {
        **wh.network(name, **TINY[name], classes=2).architecture.settings,
        "name": name,
    }
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = card(images)
    if name in COMPILED:
        compiled = wh.compile(card, threads=1)
        assert compiled.runtime == "sparse"
        torch.testing.assert_close(compiled(images), expected, rtol=1e-3, atol=1e-3)
    runtime = pytest.importorskip("onnxruntime", reason="the packages for ONNX are not installed")
    pytest.importorskip("onnxscript", reason="the packages for ONNX are not installed")
    export(card, tmp_path / "a.onnx")
    (logits,) = runtime.InferenceSession(tmp_path / "a.onnx").run(None, {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-3, atol=1e-3)

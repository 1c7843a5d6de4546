"""Files of whole numbers: the own levels of cards, calibrated activations, and what runs them elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import winninghand as wh
from tests.exports.conftest import made_card
from winninghand.exports import export
from winninghand.exports.calibration import steps
from winninghand.exports.levels import Levels, nearest_levels, with_room_for
from winninghand.networks.norms import with_norms_of_its_own

PAGE = Path(__file__).parents[2] / "docs/import-export.md"


def test_levels_come_back_from_weights_that_a_norm_was_multiplied_into(card):
    quantized = card.quantized("int8")
    name, scale = next(iter(quantized.scales.items()))
    weight = quantized.network.get_parameter(name).detach().double()
    factors = torch.tensor([-2.5, 0.3, 0.0, 1e-3], dtype=torch.float64)
    found, scales = Levels([quantized]).of((weight * factors[:, None, None, None]).float().numpy())
    levels = (weight / scale[:, None, None, None]).round() * factors.sign()[:, None, None, None]
    np.testing.assert_array_equal(found, levels.numpy())
    expected = torch.where(factors == 0, 1, factors.abs() * scale)
    np.testing.assert_allclose(scales, expected.numpy(), rtol=1e-6)


def test_weights_that_are_no_levels_are_rounded_by_channel():
    weight = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32) * [[1], [100], [0]]
    assert Levels([]).of(weight.astype(np.float32)) is None
    levels, scales = nearest_levels(weight.astype(np.float32))
    assert levels.dtype == np.int8
    assert np.abs(levels[:2]).max() == 127
    assert not levels[2].any()
    assert (np.abs(levels * scales[:, None] - weight).max(axis=1) <= np.maximum(scales, 1e-30)).all()


def test_a_bias_far_above_its_weights_fits_32_bits():
    levels, scales = np.array([[127], [100]], dtype=np.int8), np.array([1e-12, 0.01], dtype=np.float32)
    found, wider = with_room_for(np.array([5.0, 5.0]), levels, scales, step=0.1)
    assert (5.0 / (0.1 * wider) < 2**31).all()
    assert found[1] == 100
    assert wider[1] == scales[1]
    assert np.abs(found * wider[:, None] - levels * scales[:, None]).max() < 1e-7


def test_steps_are_measured_over_all_images():
    images = np.random.default_rng(0).random((70, 3, 8, 8)).astype(np.float32)

    def run(batch):
        return [batch, 4 * batch - 3, np.zeros_like(batch)]

    found = steps(run, ["unit", "signed", "nothing"], images)
    assert (found["unit"].scale, found["unit"].zero) == (pytest.approx(1 / 255, rel=0.01), 0)
    assert (found["signed"].scale, found["signed"].zero) == (pytest.approx(4 / 255, rel=0.01), 191)
    assert found["nothing"].scale > 0


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("a.onnx", {"quantize": "int8"}, "calibrated on images"),
        ("a.onnx", {"quantize": "int4", "images": torch.rand(2, 3, 16, 16)}, "int8, not 'int4'"),
        ("a.onnx", {"images": torch.rand(2, 3, 16, 16)}, "leave them out"),
        ("a.onnx", {"quantize": "int8", "images": torch.rand(2, 3, 8, 8)}, "resize"),
        ("a.onnx", {"quantize": "int8", "images": torch.rand(2, 3, 16, 16), "opset": 12}, "opset 13"),
        ("a.onnx", {"opset": 0}, "opset"),
        ("a.onnx", {"opset": 2.5}, "opset"),
        ("a.pt2", {"quantize": "int8", "images": torch.rand(2, 3, 16, 16)}, "only .onnx"),
        ("a.safetensors", {"opset": 20}, "only .onnx"),
    ],
)
def test_what_cannot_be_quantized_is_refused_and_nothing_written(card, tmp_path, name, settings, words):
    with pytest.raises(wh.InputError, match=words):
        export(card, tmp_path / name, **settings)
    assert list(tmp_path.iterdir()) == []


onnx = pytest.importorskip("onnx", reason="the packages for ONNX are not installed")
runtime = pytest.importorskip("onnxruntime", reason="the packages for ONNX are not installed")
pytest.importorskip("onnxscript", reason="the packages for ONNX are not installed")


@pytest.fixture(scope="module")
def images(batches):
    return torch.cat([batches["smooth"], batches["noisy"], batches["mixed"]])


@pytest.fixture(scope="module")
def quantized():
    """A card whose weights take more bytes than its graph, of few layers: each takes time to export."""
    return made_card("cifar_resnet", 0, depth=8, width=16).quantized("int8")


@pytest.fixture(scope="module")
def written(quantized, images, tmp_path_factory):
    """A card's file of whole numbers, and what was said of it."""
    path = tmp_path_factory.mktemp("int8") / "card.onnx"
    return path, export(quantized, path, quantize="int8", images=images)


def rows(weight):
    return weight.detach().reshape(len(weight), -1)


def run(path, images):
    session = runtime.InferenceSession(path)
    return [torch.from_numpy(output) for output in session.run(None, {"images": images.numpy()})]


def held(path, dtype):
    """Return the initializers of a type that are more than one number per channel, in branches too."""
    graph = onnx.load(path).graph
    branches = [one.g for node in graph.node for one in node.attribute if one.name == "then_branch"]
    arrays = [onnx.numpy_helper.to_array(one) for part in (graph, *branches) for one in part.initializer]
    return [one for one in arrays if one.dtype == dtype and one.ndim > 1 and one.size > 3]


def operators(path, folder):
    """Return how often ONNX Runtime runs each operator, in cards and outside."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    runtime.InferenceSession(path, options)
    nodes = list(onnx.load(folder / "optimised.onnx").graph.node)
    branches = [one.g for node in nodes for one in node.attribute if one.name == "then_branch"]
    return [Counter(node.op_type for node in part) for part in (nodes, *(branch.node for branch in branches))]


@pytest.mark.slow
def test_a_cards_file_holds_its_own_levels_and_runs_in_whole_numbers(written, quantized, images, tmp_path):
    path, said = written
    onnx.checker.check_model(onnx.load(path), full_check=True)
    # Up to the sign that a norm gives a channel.
    known = {
        (rows(quantized.network.get_parameter(name)) / scale[:, None]).round().abs().to(torch.int8)
        for name, scale in quantized.scales.items()
    }
    assert {np.abs(one).tobytes() for one in held(path, np.int8)} == {one.numpy().tobytes() for one in known}
    assert held(path, np.float32) == []
    (ran,) = operators(path, tmp_path)
    assert (ran["QLinearConv"], ran["QGemm"], ran["Conv"], ran["Gemm"]) == (9, 1, 0, 0)
    (logits,) = run(path, images)
    expected = quantized(images).detach()
    assert float((logits - expected).abs().max()) < 0.1 * float(expected.abs().max())
    assert not said.rounded
    assert said.bytes == path.stat().st_size < said.float_bytes / 2
    assert said.images == len(images)
    assert said.agreement == float((logits.argmax(1) == expected.argmax(1)).float().mean())
    assert said.milliseconds > 0 < said.float_milliseconds
    (entry,) = onnx.load(path).metadata_props
    assert json.loads(entry.value)["weights"] == "int8"


class Tokens(nn.Module):
    """A linear layer on many vectors per image, which is written as MatMul, and a head, a Gemm."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 48, 4, 4)
        self.hidden = nn.Linear(48, 256)
        self.head = nn.Linear(256, 4)

    def forward(self, images):
        hidden = self.hidden(self.patches(images).flatten(2).mT).relu()
        return self.head(hidden.mean(dim=1))


@pytest.mark.parametrize("left", [(), ("hidden", "head")])
def test_weights_that_a_card_leaves_as_floats_are_rounded_in_the_file_alone(left, images, tmp_path):
    torch.manual_seed(0)
    network = Tokens().eval()
    for name in left:
        network.get_submodule(name).weight.requires_grad_(False)  # not prunable, so that it gets no levels
    quantized = wh.Card.from_module(network, list("abcd"), (16, 16)).quantized("int8")
    said = export(quantized, tmp_path / "a.onnx", quantize="int8", images=images)
    assert (said.rounded, said.layers, said.rounded_layers) == (False, 3, len(left))
    written = {one.shape: one for one in held(tmp_path / "a.onnx", np.int8)}
    for name in ("hidden", "head"):
        weight = quantized.network.get_submodule(name).weight.detach()
        if name in left:
            levels, _ = nearest_levels(weight.numpy())
        else:
            levels = (weight / quantized.scales[f"{name}.weight"][:, None]).round().numpy()
        levels = levels.T if name == "hidden" else levels
        np.testing.assert_array_equal(written[levels.shape], levels)
    (logits,) = run(tmp_path / "a.onnx", images)
    expected = quantized(images).detach()
    assert float((logits - expected).abs().max()) < 0.05 * float(expected.abs().max())


@pytest.mark.slow
def test_the_gate_of_a_deck_stays_what_it_is(deck, batches, images, tmp_path):
    said = export(deck, tmp_path / "a.onnx", quantize="int8", images=images)
    assert said.rounded
    for batch in batches.values():
        outputs, weights = run(tmp_path / "a.onnx", batch)
        torch.testing.assert_close(weights, deck.choose(batch))
        torch.testing.assert_close(outputs.exp(), deck(batch).exp(), rtol=0, atol=0.05)
    gate, *cards = operators(tmp_path / "a.onnx", tmp_path)
    assert gate["QLinearConv"] == gate["QuantizeLinear"] == 0
    assert [card["QLinearConv"] for card in cards] == [2, 2]


@pytest.mark.slow
@pytest.mark.parametrize("gate", ["average", "spectral"])
def test_the_cards_of_one_body_share_its_levels(deck, images, gate, tmp_path):
    torch.manual_seed(0)
    network = wh.network("cifar_resnet", depth=8, width=8, classes=4).eval()
    first, parts = deck.cards[0], []
    for number in range(2):
        other = with_norms_of_its_own(network)
        with torch.no_grad():
            other.bn.bias += 0.5 * number
        parts.append(wh.Card.from_module(other, first.classes, first.input_size, profile=first.profile))
    shared = wh.Deck(parts, gate)
    export(shared, tmp_path / "a.onnx", quantize="int8", images=images)
    # Small ones may lie in each branch.
    weights = sum(one.numel() for one in network.parameters() if one.ndim > 1)
    assert sum(one.size for one in held(tmp_path / "a.onnx", np.int8)) < 1.2 * weights
    assert sum(part["QLinearConv"] for part in operators(tmp_path / "a.onnx", tmp_path)) == 18
    outputs, _ = run(tmp_path / "a.onnx", images)
    torch.testing.assert_close(outputs.exp(), shared(images).exp(), rtol=0, atol=0.05)


@pytest.mark.slow
def test_an_opset_is_kept_or_refused(quantized, deck, tmp_path):
    export(quantized, tmp_path / "a.onnx", opset=14)
    file = onnx.load(tmp_path / "a.onnx")
    assert file.opset_import[0].version == 14
    assert json.loads(file.metadata_props[0].value)["classes"] == list("abcd")
    with pytest.raises(wh.InputError, match="deck cannot be written in opset 13; take 18 or a later one"):
        export(deck, tmp_path / "b.onnx", opset=13)
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def script():
    """The script of the page that runs a file without this library."""
    (found,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        if "InferenceSession" in block
    )
    return found


@pytest.mark.slow
def test_the_script_of_the_page_runs_a_file_without_the_library(written, quantized, tmp_path):
    lines = script().strip().splitlines()
    assert len(lines) <= 20
    assert {word for line in lines for word in re.findall(r"^(?:import|from) (\w+)", line)} <= {
        "json", "numpy", "onnxruntime", "PIL", "sys",
    }  # fmt: skip
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 24, 4), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        # The second one is transparent in parts, and laid on white.
        Image.fromarray(picture[..., : 3 + number]).save(tmp_path / f"{number}.png")
    names = ["0.png", "1.png"]
    done = subprocess.run(
        [sys.executable, "-c", script(), written[0], *names],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    expected = quantized.predict([tmp_path / name for name in names])
    for line, name, wanted in zip(done.stdout.splitlines(), names, expected, strict=True):
        path, label, share = line.split()
        assert (path, label) == (name, wanted.label)
        assert float(share.rstrip("%")) / 100 == pytest.approx(wanted.probability, abs=0.05)

"""ONNX Runtime gives what PyTorch gives, gate decisions included."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

import winninghand as wh
from winninghand.exports import export, onnx_file
from winninghand.networks.norms import with_norms_of_its_own

pytestmark = pytest.mark.slow
pytest.importorskip("onnxscript", reason="the packages for ONNX are not installed")
onnx = pytest.importorskip("onnx", reason="the packages for ONNX are not installed")
runtime = pytest.importorskip("onnxruntime", reason="the packages for ONNX are not installed")


def run(path, images):
    return [
        torch.from_numpy(output)
        for output in runtime.InferenceSession(path).run(None, {"images": images.numpy()})
    ]


@pytest.fixture(scope="module")
def spectral(deck, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "deck.onnx"
    export(deck, path)
    return path


def test_a_card_gives_its_logits_for_any_number_of_images(card, batches, tmp_path):
    export(card, tmp_path / "a.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "a.onnx"), full_check=True)
    for images in batches.values():
        (logits,) = run(tmp_path / "a.onnx", images)
        torch.testing.assert_close(logits, card(images), rtol=0, atol=1e-4)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.onnx"]


def assert_decks_agree(path, deck, batches):
    chosen = set()
    for images in batches.values():
        log_probabilities, weights = run(path, images)
        assert torch.equal(weights, deck.choose(images))
        torch.testing.assert_close(log_probabilities, deck(images), rtol=0, atol=1e-4)
        chosen |= set(weights.argmax(dim=1).tolist())
    assert chosen == {0, 1}


def test_a_deck_chooses_one_domain_for_the_batch(spectral, deck, batches):
    assert_decks_agree(spectral, deck, batches)


def test_a_deck_chooses_image_by_image(deck, batches, tmp_path):
    by_image = deck.with_gate("spectral_image")
    export(by_image, tmp_path / "a.onnx")
    assert_decks_agree(tmp_path / "a.onnx", by_image, batches)
    assert by_image.choose(batches["mixed"]).argmax(dim=1).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("gate", "settings"),
    [
        ("average", {}),
        ("weighted", {}),
        ("features", {}),
        ("spectral", {"amplitude": "linear", "distance": "l1"}),
    ],
)
def test_a_deck_weighs_its_cards(deck, batches, tmp_path, gate, settings):
    weighing = deck.with_gate(gate, **settings)
    export(weighing, tmp_path / "a.onnx")
    for images in batches.values():
        log_probabilities, weights = run(tmp_path / "a.onnx", images)
        torch.testing.assert_close(weights, weighing.choose(images), rtol=0, atol=1e-4)
        torch.testing.assert_close(log_probabilities, weighing(images), rtol=0, atol=1e-4)


def test_a_card_that_is_not_played_is_not_run(spectral, batches, tmp_path):
    options = runtime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = runtime.InferenceSession(spectral, options)
    session.run(None, {"images": batches["noisy"].numpy()})
    events = json.loads(Path(session.end_profiling()).read_text())
    ran = Counter(event["args"].get("op_name") for event in events if event["name"].endswith("_kernel_time"))
    assert ran["Conv"] + ran["FusedConv"] + ran["NhwcFusedConv"] == 2  # of one card; both have four


def test_the_weights_of_a_card_are_in_its_branch(spectral):
    graph = onnx.load(spectral).graph
    branches = [node.attribute[0].g for node in graph.node if node.op_type == "If"]
    inside = [{weight.name for weight in branch.initializer} for branch in branches]
    assert [any("cards.0" in name for name in names) for names in inside] == [True, False]
    assert not any(
        name.startswith("cards") and "weight" in name for name in (w.name for w in graph.initializer)
    )


def test_the_file_says_what_it_is_and_not_where_it_was_made(spectral, deck):
    content = spectral.read_bytes()
    assert str(Path(wh.__file__).parent).encode() not in content
    assert str(Path(torch.__file__).parent).encode() not in content
    (metadata,) = onnx.load_from_string(content).metadata_props
    assert json.loads(metadata.value) == {
        "classes": list("abcd"),
        "input_size": [16, 16],
        "transform": "squash",
        "gate": "spectral",
        "cards": 2,
    }


def test_nothing_is_left_where_onnx_runtime_disagrees(deck, tmp_path, monkeypatch):
    original = onnx_file.check
    monkeypatch.setattr(
        onnx_file,
        "check",
        lambda name, run, model: original(name, lambda x: [y + 0.01 for y in run(x)], model),
    )
    with pytest.raises(RuntimeError, match=r"differs from the model by 0\.01"):
        export(deck.cards[0], tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_the_command_to_install_it(card, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(wh.InputError, match=r"pip install 'winninghand\[export\]'"):
        export(card, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_deck_of_one_body_holds_it_once(deck, batches, tmp_path):
    torch.manual_seed(0)
    network = wh.network("cifar_resnet", depth=8, width=16, classes=len(deck.classes)).eval()
    first, parts = deck.cards[0], []
    for number in range(3):
        other = with_norms_of_its_own(network)
        with torch.no_grad():
            other.bn.bias += 0.1 * number
        parts.append(wh.Card.from_module(other, first.classes, first.input_size, profile=first.profile))
    shared = wh.Deck(parts, "average")
    export(shared, tmp_path / "a.onnx")
    parameters = sum(one.numel() for one in network.parameters())
    assert (tmp_path / "a.onnx").stat().st_size < 1.5 * 4 * parameters
    for images in batches.values():
        outputs, _ = run(tmp_path / "a.onnx", images)
        torch.testing.assert_close(outputs, shared(images), rtol=0, atol=1e-4)

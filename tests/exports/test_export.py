from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import winninghand as wh
from winninghand.cards.importing import Import
from winninghand.decks.importing import import_model
from winninghand.exports import EXPORTS, export


def test_a_program_gives_a_cards_logits_and_leaves_the_card_alone(card, batches, tmp_path):
    before = {name: tensor.clone() for name, tensor in card.state_dict().items()}
    export(card, tmp_path / "a.pt2")
    assert all(torch.equal(tensor, before[name]) for name, tensor in card.state_dict().items())
    program = torch.export.load(tmp_path / "a.pt2").module()
    for images in batches.values():
        torch.testing.assert_close(program(images), card(images), rtol=0, atol=1e-4)
    assert str(Path(wh.__file__).parent).encode() not in (tmp_path / "a.pt2").read_bytes()


SCORES = {
    "slopes": [[1.0, 0.0, 2.0, -1.0], [-1.0, 1.0, 0.0, 1.0]],
    "offsets": [0.5, 0.0],
    "inputs": "features",
}


@pytest.mark.parametrize(
    ("gate", "settings"),
    [
        ("average", {}),
        ("weighted", {"temperature": 3.0}),
        ("features", {"scores": SCORES, "confidence": 0.6}),
    ],
)
def test_a_program_gives_a_decks_answers_and_weights(deck, batches, gate, settings, tmp_path):
    other = deck.with_gate(gate, **settings)
    export(other, tmp_path / "a.pt2")
    program = torch.export.load(tmp_path / "a.pt2").module()
    for images in batches.values():
        answers, weights = program(images)
        torch.testing.assert_close(weights, other.choose(images), rtol=0, atol=1e-4)
        torch.testing.assert_close(answers, other(images), rtol=0, atol=1e-4)


def test_dense_weights_open_with_safetensors_and_come_back(card, tmp_path):
    export(card, tmp_path / "a.safetensors")
    found, expected = load_file(tmp_path / "a.safetensors"), card.network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
    metadata = card.metadata
    wanted = Import("resnet18", mean=metadata.mean, std=metadata.std, input_size=16)
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(import_model([tmp_path / "a.safetensors"], wanted)(images), card(images))


@pytest.mark.parametrize("ending", [".safetensors", ".sparse.pt"])
def test_a_decks_weights_come_back_as_a_deck(deck, ending, tmp_path):
    export(deck, tmp_path / f"a{ending}")
    metadata = deck.cards[0].metadata
    wanted = Import("conv2", {"input_size": 16}, mean=metadata.mean, std=metadata.std)
    found = import_model([tmp_path / f"a{ending}"], wanted)
    images = torch.rand(2, 3, 16, 16)
    for one, other in zip(found.cards, deck.cards, strict=True):
        assert torch.equal(one(images), other(images))


def test_sparse_weights_are_sparse_and_dense_again_the_same(card, tmp_path):
    export(card, tmp_path / "a.sparse.pt")
    found, expected = torch.load(tmp_path / "a.sparse.pt", weights_only=True), card.network.state_dict()
    assert {name for name, tensor in found.items() if tensor.is_sparse} == set(card.metadata.prunable)
    assert all(torch.equal(found[name].to_dense(), tensor) for name, tensor in expected.items())


def test_other_endings_and_a_gate_with_a_memory_are_refused(card, deck, tmp_path):
    for name in ("a.pt", "a.onnx.gz", "onnx"):
        with pytest.raises(wh.InputError, match=", ".join(EXPORTS)):
            export(card, tmp_path / name)
    with pytest.raises(wh.InputError, match="'stream' remembers"):
        export(deck.with_gate("stream"), tmp_path / "a.pt2")
    with pytest.raises(wh.InputError, match="batch=None"):
        export(deck.with_gate("spectral", batch=4), tmp_path / "a.pt2")
    assert list(tmp_path.iterdir()) == []

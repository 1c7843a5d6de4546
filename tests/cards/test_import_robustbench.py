"""Where RobustBench is installed: checkpoints of its own classes, pruned, imported, saved and loaded."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import winninghand as wh
from benchmarks.robustbench_zoo import model_zoos
from winninghand.cards.importing import Import
from winninghand.decks.importing import import_model

try:
    ZOOS = model_zoos()
except ImportError as missing:
    pytest.skip(f"RobustBench cannot be imported: {missing}", allow_module_level=True)

FAMILIES = {
    "LRR": ("Diffenderfer2021CARD", "card_lrr", {"width": 8}),
    "LRR deck": ("Diffenderfer2021CARD_Deck", "card_lrr", {"width": 8}),
    "binary": ("Diffenderfer2021CARD_Binary", "card_binary", {}),
    "binary deck": ("Diffenderfer2021CARD_Deck_Binary", "card_binary", {}),
}


@torch.no_grad()
def prune(module, binary):
    """Keep the largest 5%, over all convolutions and the head; binary: all of one magnitude per layer."""
    weights = [part.weight for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights])
    threshold = magnitudes.kthvalue(int(0.95 * len(magnitudes))).values
    for weight in weights:
        kept = weight.abs() > threshold
        weight.copy_(weight.sign() * weight.abs()[kept].mean().nan_to_num() if binary else weight)
        weight.mul_(kept)


@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_stay_and_files_shrink(family, data, tmp_path):
    name, architecture, settings = FAMILIES[family]
    if family == "binary deck" and data == "cifar100":
        pytest.skip("600 MB, and nothing that the others do not show")
    torch.manual_seed(0)
    theirs = getattr(ZOOS[data], name)(**settings)
    for module in theirs.models if "deck" in family else [theirs]:
        prune(module, "binary" in family)
    theirs.train()(torch.rand(4, 3, 32, 32))  # running statistics that are not those of a fresh network
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    import_model([tmp_path / "theirs.pt"], Import(architecture)).save(tmp_path / "ours")
    ours, images = wh.load(tmp_path / "ours"), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        found, expected = ours(images), theirs.eval()(images)
    found = found.exp() if "deck" in family else found
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.std()))
    assert len(ours.classes) == {"cifar10": 10, "cifar100": 100}[data]
    card = ours.cards[0] if "deck" in family else ours
    assert card.inspect().sparsity == pytest.approx(0.95, abs=1e-4)
    shrunk = (tmp_path / "theirs.pt").stat().st_size / (tmp_path / "ours").stat().st_size
    assert shrunk > (100 if "binary" in family else 10)

"""What the page on theory shows runs as it stands there."""

import re
from pathlib import Path

import torch
from torch import nn

import winninghand as wh

PAGE = (Path(__file__).parents[2] / "docs/theory.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def card_of(seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    return wh.Card.from_module(network, ["a", "b"], (6, 6))


def test_all_blocks_run_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cards = [card_of(0), card_of(1)]
    names = {"card": cards[0], "deck": wh.Deck(cards, "average"), "images": torch.rand(4, 3, 6, 6)}
    for block in BLOCKS:
        exec(block, names)
    assert {path.name for path in tmp_path.iterdir()} == {"int8.card", "a.ticket", "a.tickets"}
    assert names["exact"].bound < 1e-200
    # The table of signs and floats is of these two.
    for ticket in (names["signs"], names["floats"]):
        weights = sum(layer.weights for layer in ticket.certificate.layers)
        assert f"| {weights:,} | {ticket.kept:.1%} | {ticket.bound:.2g} |" in PAGE

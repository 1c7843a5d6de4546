"""What is damaged: a file to write by seed, a way to read it, and what counts as the very same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import winninghand as wh
from winninghand.spectra import SpectralProfile


@dataclass(frozen=True)
class Kind:
    """How one kind of file is written, read, and compared with what was written."""

    write: Callable[[Path, int], object]
    read: Callable[[Path], Any]
    alike: Callable[[Any, Any], bool]


def _write_card(path: Path, seed: int) -> None:
    _card(seed).save(path)


def _write_deck(path: Path, seed: int) -> None:
    wh.Deck([_card(seed), _card(seed + 2).quantized("int4")]).save(path)


def _alike_decks(one: wh.Deck, other: wh.Deck) -> bool:
    """Tell whether two decks hold the same cards under the same gate."""
    same_gate = (one.gate, one.settings) == (other.gate, other.settings)
    same_gate = same_gate and torch.equal(one.temperatures, other.temperatures)
    return same_gate and len(one.cards) == len(other.cards) and all(map(_alike_cards, one.cards, other.cards))


def _alike_cards(one: wh.Card, other: wh.Card) -> bool:
    """Tell whether two cards hold the same metadata, weights and profile, bit by bit."""
    return one.metadata == other.metadata and all(map(torch.equal, _tensors(one), _tensors(other)))


def _tensors(card: wh.Card) -> list[Tensor]:
    assert card.profile is not None
    return [*card.network.state_dict().values(), card.profile.mean, card.profile.spread]


def _card(seed: int) -> wh.Card:
    """Return a small card with pruned weights and a profile."""
    torch.manual_seed(seed)
    network = wh.network("resnet20", width=2, classes=3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(torch.rand(weight.shape) < 0.3)
    profile = SpectralProfile.of(torch.rand(8, 3, 16, 16))
    return wh.Card.from_module(network, ["a", "b", "c"], (16, 16), profile=profile)


KINDS = {
    "card": Kind(_write_card, wh.load, _alike_cards),
    "deck": Kind(_write_deck, wh.load, _alike_decks),
}

"""What is damaged: a file to write by seed, a way to read it, and what counts as the very same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import winninghand as wh
from winninghand.cards.container import Container, read_container, write_container
from winninghand.spectra import SpectralProfile


@dataclass(frozen=True)
class Kind:
    """How one kind of file is written, read, and compared with what was written."""

    write: Callable[[Path, int], object]
    read: Callable[[Path], Any]
    alike: Callable[[Any, Any], bool]


def _tensors_of(seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return a small network's tensors, of every kind there is, and scales."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(32, 16, 3, 3, generator=generator)
    weight *= torch.rand(weight.shape, generator=generator) < torch.rand(32, 1, 1, 1, generator=generator) / 5
    levels = torch.randint(-7, 8, (10, 32), generator=generator).float()
    scales = torch.rand(10, generator=generator) + 0.1
    tensors = {
        "first.weight": weight + 0.0,
        "second.weight": weight.sign() * 0.05 + 0.0,
        "half.weight": weight.half() + 0.0,
        "linear.weight": levels * scales[:, None] + 0.0,
        "linear.bias": torch.randn(10, generator=generator),
        "norm.running_var": torch.rand(32, generator=generator),
        "norm.num_batches_tracked": torch.tensor(1000 + seed),
    }
    return tensors, {"linear.weight": scales}


def _write_container(path: Path, seed: int) -> None:
    """Write a container with tensors of every kind."""
    tensors, scales = _tensors_of(seed)
    header = {"classes": ["cat", "dog"], "mean": [0.1 * seed, 0.2, 0.3], "input_size": [32, 32]}
    write_container(path, header, tensors, [name for name in tensors if name.endswith("weight")], scales)


def _alike_containers(found: Container, original: Container) -> bool:
    """Tell whether two containers hold the same header and the same tensors, bit by bit."""
    if found.header != original.header or list(found.tensors) != list(original.tensors):
        return False
    pairs = [(found.tensors[name], tensor) for name, tensor in original.tensors.items()]
    pairs += [(found.scales.get(name, torch.empty(0)), scale) for name, scale in original.scales.items()]
    return all(one.dtype == other.dtype and torch.equal(one, other) for one, other in pairs)


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
    "container": Kind(_write_container, read_container, _alike_containers),
    "card": Kind(_write_card, wh.load, _alike_cards),
    "deck": Kind(_write_deck, wh.load, _alike_decks),
}

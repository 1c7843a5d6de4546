"""Deck files, and opening a file that is a card or a deck."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.cards import Card, Inspection, card_entropy_bound
from winninghand.cards.container import read_streams, write_streams
from winninghand.cards.file import KIND as CARD
from winninghand.cards.file import pack_card, unpack_card
from winninghand.decks.deck import Deck
from winninghand.decks.gate import gate_settings
from winninghand.zoo import model_path

KIND = "deck"


class DeckMetadata(BaseModel):
    """The part of a deck that is written as text in its file's header."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gate: str
    settings: dict[str, Any] = {}
    temperatures: tuple[float, ...] | None = None
    cards: tuple[dict[str, Any], ...]


def save_deck(deck: Deck, path: Path | str) -> None:
    """Write a deck to one safetensors file, whole or not at all."""
    headers: list[dict[str, Any]] = []
    streams: dict[str, Tensor] = {}
    for number, card in enumerate(deck.cards):
        header, parts = pack_card(card)
        headers.append(header)
        streams |= {f"{number}/{name}": part for name, part in parts.items()}
    metadata = DeckMetadata(
        gate=deck.gate,
        settings=deck.settings.model_dump(mode="json"),
        temperatures=tuple(deck.temperatures.tolist()),
        cards=tuple(headers),
    )
    write_streams(path, {"kind": KIND, **metadata.model_dump(mode="json")}, streams)


def load(path: Path | str, network: nn.Module | None = None) -> Card | Deck:
    """Open a `.card` or a `.deck` file, by what it is, not by its name; `zoo:NAME` is one of the zoo's.

    `network` is the module to fill where a card's network is not from the catalog. Nothing in
    the file is executed. Raises `InputError` for any other file and for a damaged one.
    """
    path = model_path(path)
    header, streams = read_streams(path)
    kind = header.pop("kind", None)
    if kind == CARD:
        return unpack_card(header, streams, str(path), network)
    if kind == KIND:
        return _unpack_deck(header, streams, str(path))
    raise InputError(f"cannot load {path}: it holds neither a card nor a deck")


def inspect_file(path: Path | str) -> dict[str, Any]:
    """Return what there is to know of the size of a card or deck file, as plain values.

    The counts of `Inspection.to_json`, and `bytes` and `entropy_bound_bytes`; for a deck these
    are sums, with the same of each of its cards under `cards`.
    """
    model = load(path)
    size = {"bytes": Path(path).stat().st_size}
    if model.kind == "card":
        return {"kind": CARD, **_inspected(model), **size, "metadata": model.metadata.model_dump(mode="json")}
    cards = [_inspected(card) for card in model.cards]
    return {
        "kind": KIND,
        "gate": model.gate,
        **{key: sum(card[key] for card in cards) for key in ("parameters", "nonzero", "entropy_bound_bytes")},
        "sparsity": _mean_sparsity(model.cards),
        **size,
        "layers": [
            {**layer, "name": f"{number}/{layer['name']}"}
            for number, card in enumerate(cards)
            for layer in card["layers"]
        ],
        "cards": cards,
    }


def _inspected(card: Card) -> dict[str, Any]:
    return {**Inspection.of(card).to_json(), "entropy_bound_bytes": round(card_entropy_bound(card))}


def _mean_sparsity(cards: tuple[Card, ...]) -> float:
    layers = [layer for card in cards for layer in Inspection.of(card).layers]
    total = sum(layer.size for layer in layers)
    return 1 - sum(layer.nonzero for layer in layers) / total if total else 0.0


def _unpack_deck(header: dict[str, Any], streams: dict[str, Tensor], origin: str) -> Deck:
    by_card: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, stream in streams.items():
        number, _, part = name.partition("/")
        by_card[number][part] = stream
    try:
        metadata = DeckMetadata.model_validate(header)
    except ValidationError as error:
        raise InputError(f"cannot load {origin}: its header is damaged") from error
    cards = [
        unpack_card(one, by_card[str(number)], f"card {number} of {origin}")
        for number, one in enumerate(metadata.cards)
    ]
    return Deck(cards, metadata.gate, gate_settings(metadata.gate, metadata.settings), metadata.temperatures)

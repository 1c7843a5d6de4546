"""The parts of a deck as a header of JSON values and byte streams, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from winninghand.base.errors import InputError, first_error
from winninghand.cards.codec import check_file
from winninghand.cards.file import CardParts, Streams, pack_card, unpack_card
from winninghand.decks.gate import GateSettings, gate_settings

KIND: Final = "deck"

MOST_CARDS = 256
"""As many cards as a deck may have, since its file may come from a stranger."""


class DeckParts(NamedTuple):
    """What a deck is made of, its cards as the parts of each."""

    cards: tuple[CardParts, ...]
    gate: str
    settings: GateSettings
    temperatures: tuple[float, ...] | None


class DeckMetadata(BaseModel):
    """The part of a deck that is written as text in its file's header."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gate: str
    settings: dict[str, Any] = {}
    temperatures: tuple[float, ...] | None = None
    cards: tuple[dict[str, Any], ...] = Field(max_length=MOST_CARDS)


def pack_deck(parts: DeckParts) -> tuple[dict[str, Any], Streams]:
    """Return a deck as JSON values and flat byte tensors; those of card n are named `n/…`."""
    headers, own = zip(*map(pack_card, parts.cards), strict=True)
    check_file(own)
    streams = {f"{number}/{name}": one[name] for number, one in enumerate(own) for name in one}
    metadata = DeckMetadata(
        gate=parts.gate,
        settings=parts.settings.model_dump(mode="json"),
        temperatures=parts.temperatures,
        cards=headers,
    )
    return metadata.model_dump(mode="json"), streams


def unpack_deck(header: Mapping[str, Any], streams: Mapping[str, Tensor], origin: str) -> DeckParts:
    """Return the parts that `pack_deck` packed; `InputError`, which names `origin`, for a damaged deck."""
    by_card: dict[str, Streams] = defaultdict(dict)
    for name, stream in streams.items():
        number, _, part = name.partition("/")
        by_card[number][part] = stream
    try:
        metadata = DeckMetadata.model_validate(header)
    except ValidationError as error:
        raise InputError(f"cannot load {origin}: its header is damaged: {first_error(error)}") from error
    numbers = [str(number) for number in range(len(metadata.cards))]
    try:
        if by_card.keys() - set(numbers):
            raise InputError("it holds streams of cards that it does not have")
        check_file(by_card[number] for number in numbers)
        settings = gate_settings(metadata.gate, metadata.settings)
    except InputError as error:
        raise InputError(f"cannot load {origin}: {error}") from error
    cards = [
        unpack_card(one, by_card[number], f"card {number} of {origin}")
        for number, one in zip(numbers, metadata.cards, strict=True)
    ]
    return DeckParts(tuple(cards), metadata.gate, settings, metadata.temperatures)

"""The parts of a deck as a header of JSON values and byte streams, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from winninghand.base.errors import InputError, first_error
from winninghand.cards.codec import check_file
from winninghand.cards.file import BODY, CardParts, Streams, by_part, pack_card, unpack_card
from winninghand.cards.in_parts import SharedParts, body_digest, pack_in_parts
from winninghand.decks.gate import GateSettings, gate_settings
from winninghand.networks import runs_code
from winninghand.networks.entering import copied, plain

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
    """Return a deck as JSON values and flat byte tensors; those of card n are named `n/…`.

    Cards whose body another one has too are packed in parts, so that their bodies are the same streams.
    """
    bodies = [body_digest(card) for card in parts.cards] if len(parts.cards) > 1 else [b""]
    packed = [
        (pack_card if bodies.count(body) == 1 else pack_in_parts)(card)
        for card, body in zip(parts.cards, bodies, strict=True)
    ]
    headers, own = zip(*packed, strict=True)
    check_file(_counted(own))
    streams = {f"{number}/{name}": one[name] for number, one in enumerate(own) for name in one}
    metadata = DeckMetadata(
        gate=parts.gate,
        settings=parts.settings.model_dump(mode="json"),
        temperatures=parts.temperatures,
        cards=headers,
    )
    return metadata.model_dump(mode="json"), streams


def shared_streams(streams: Mapping[str, Tensor]) -> bool:
    """Tell whether streams, of a card or of a whole deck, hold a card in parts, which are stored once."""
    return any(f"/{name}".endswith(f"/{BODY}/index") for name in streams)


def _counted(cards: Iterable[Streams]) -> Iterator[Streams]:
    """Yield the parts of the cards' streams as they take memory: a body that cards share once."""
    bodies: set[tuple[bytes, ...]] = set()
    for streams in cards:
        for part, found in by_part(streams).items():
            content = tuple(stream.numpy().tobytes() for stream in found.values()) if part == BODY else None
            if content is None or content not in bodies:
                yield found
            if content is not None:
                bodies.add(content)


def unpack_deck(
    header: Mapping[str, Any],
    streams: Mapping[str, Tensor],
    origin: str,
    network: nn.Module | None = None,
    trust: bool = False,
) -> DeckParts:
    """Return the parts that `pack_deck` packed; `InputError`, which names `origin`, for a damaged deck.

    `network` is the module to fill, a copy for each, of cards whose network has no name that is known.
    With `trust` networks may be built by code that their import paths name.
    """
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
        check_file(_counted(by_card[number] for number in numbers))
        settings = gate_settings(metadata.gate, metadata.settings)
    except InputError as error:
        raise InputError(f"cannot load {origin}: {error}") from error
    read = SharedParts()
    cards = [
        unpack_card(
            one,
            by_card[number],
            f"card {number} of {origin}",
            _copy_for(one, network, trust),
            read=read,
            trust=trust,
        )
        for number, one in zip(numbers, metadata.cards, strict=True)
    ]
    return DeckParts(tuple(cards), metadata.gate, settings, metadata.temperatures)


def _copy_for(card: Mapping[str, Any], network: nn.Module | None, trust: bool) -> nn.Module | None:
    """Return a copy of the module to fill where a card cannot be opened without one; None elsewhere."""
    metadata = card.get("card")
    architecture = metadata.get("architecture") if isinstance(metadata, Mapping) else None
    name = architecture.get("name") if isinstance(architecture, Mapping) else None
    if network is None or (name is not None and (trust or not runs_code(name))):
        return None
    return copied(plain(network))

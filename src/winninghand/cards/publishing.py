"""What the page of a card or a deck on the hub says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from winninghand.cards.file import CardParts
from winninghand.cards.metadata import CardMetadata
from winninghand.hub.page import Facts

# What a deck's page says of each card.
_OF_A_CARD = ("network", "domain", "training images", "method", "training", "weights", "sparsity", "made by")


class PublishedCard(Protocol):
    """What is read of each card."""

    @property
    def parts(self) -> CardParts:
        """What it is made of, as its file holds it."""

    @property
    def network_name(self) -> str:
        """Name of the network."""

    def data_sheet(self) -> dict[str, str]:
        """Return what it is as lines of a name and a text."""


class Publishable(Protocol):
    """A card or a deck, as far as it is read here."""

    @property
    def kind(self) -> Literal["card", "deck"]:
        """What it is."""

    @property
    def cards(self) -> tuple[Any, ...]:
        """Its cards; a card's own is the card itself."""

    def data_sheet(self) -> dict[str, str]:
        """Return what it is as lines of a name and a text."""

    def save(self, path: Path | str) -> None:
        """Write it to one file."""


def facts_of(model: Publishable) -> Facts:
    """Return what a card or a deck says of itself on its page."""
    cards: tuple[PublishedCard, ...] = model.cards
    known = [card.parts.metadata for card in cards]
    methods = [_named(metadata.recipe, "compression", "method") for metadata in known]
    domains = [metadata.domain_name or "" for metadata in known]
    tags = [
        name for name in dict.fromkeys([*(card.network_name for card in cards), *methods, *domains]) if name
    ]
    sheets = [
        {**card.data_sheet(), **_trained_on(metadata)} for card, metadata in zip(cards, known, strict=True)
    ]
    if model.kind == "card":
        return Facts("card", sheets[0], (), known[0].accuracies, tags)
    rows = [{key: sheet[key] for key in _OF_A_CARD if key in sheet} for sheet in sheets]
    return Facts("deck", model.data_sheet(), rows, {}, tags)


def _trained_on(metadata: CardMetadata) -> dict[str, str]:
    """Return how many training images a card knows of."""
    count = _named(metadata.recipe, "specialization", "images")
    return {"training images": f"{int(count):,}, for its norms"} if count.isdecimal() else {}


def _named(table: Mapping[str, Any] | None, part: str, key: str) -> str:
    """Return a value within a part of a recipe, which may be a stranger's; nothing where there is none."""
    inner = (table or {}).get(part)
    value = inner.get(key) if isinstance(inner, Mapping) else None
    return str(value) if isinstance(value, str | int) and len(str(value)) <= 100 else ""

"""Names that cards had in version 0.1. They go in 0.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from winninghand.base.deprecation import renamed
from winninghand.cards.metadata import CardMetadata


class _WithMetadata(Protocol):
    """What these names need of a card."""

    metadata: CardMetadata

    def with_metadata(self: _Card, **changes: object) -> _Card:
        """Return the same card, with these fields of its metadata changed."""


_Card = TypeVar("_Card", bound=_WithMetadata)


class OldCardNames:
    """What a `Card` of version 0.1 had under other names."""

    @property
    def facts(self: _WithMetadata) -> CardMetadata:
        """Old name of `metadata`."""
        renamed("card.facts", "card.metadata")
        return self.metadata

    def with_accuracies(self: _Card, accuracies: Mapping[str, float]) -> _Card:
        """Old name of `with_metadata(accuracies=...)`."""
        renamed("card.with_accuracies(...)", "card.with_metadata(accuracies=...)")
        return self.with_metadata(accuracies=dict(accuracies))

"""Cards: compact networks that know how to be used, and their files."""

from typing import TYPE_CHECKING

from winninghand.base.deprecation import renamed
from winninghand.cards.answer import Answer
from winninghand.cards.card import Card, Normalisation, check_batch, check_pixels, plausible_sum
from winninghand.cards.inspection import Inspection, Layer
from winninghand.cards.metadata import CardMetadata, architecture_metadata
from winninghand.cards.player import Player, adaptation_of, player_of
from winninghand.cards.prediction import Prediction

__all__ = [
    "Answer",
    "Card",
    "CardMetadata",
    "Inspection",
    "Layer",
    "Normalisation",
    "Player",
    "Prediction",
    "adaptation_of",
    "architecture_metadata",
    "check_batch",
    "check_pixels",
    "plausible_sum",
    "player_of",
]

# What version 0.1 had here, and what does it now.
_OLD = {
    "CardFacts": ("winninghand.cards.CardMetadata", CardMetadata),
    "architecture_facts": ("winninghand.cards.architecture_metadata", architecture_metadata),
    "card_entropy_bound": ("card.entropy_bound", Card.entropy_bound),
    "save_card": ("card.save", Card.save),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _OLD:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        new, thing = _OLD[name]
        renamed(f"winninghand.cards.{name}", new)
        return thing

"""Decks, or a card, from other people's checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.cards.importing import Import, import_cards
from winninghand.decks.deck import Deck


def import_model(
    paths: Sequence[Path | str], wanted: Import, kind: Literal["card", "deck"] | None = None
) -> Card | Deck:
    """Return the card in a checkpoint; where the files hold several networks, a deck of them all.

    `kind` asks for one of the two: a single network makes a deck of one card as well. Checkpoints know
    no spectra, so that the deck has the gate `average`. Raises `InputError` for a file that is no such
    checkpoint (see `import_cards`), where the networks do not go together, and for a card of several.
    """
    cards = [card for path in paths for card in import_cards(path, wanted)]
    if kind == "card" and len(cards) > 1:
        raise InputError(f"the checkpoints hold {len(cards)} networks; name the file to write .deck")
    return cards[0] if len(cards) == 1 and kind != "deck" else Deck(cards, "average")

"""Decks, or a card, from other people's checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from winninghand.cards import Card
from winninghand.cards.importing import Import, import_cards
from winninghand.decks.deck import Deck


def import_model(paths: Sequence[Path | str], wanted: Import) -> Card | Deck:
    """Return the card in a checkpoint; where the files hold several networks, a deck of them all.

    Checkpoints know no spectra, so that the deck has the gate `average`. Raises `InputError` for a
    file that is no such checkpoint (see `import_cards`) and where the networks do not go together.
    """
    cards = [card for path in paths for card in import_cards(path, wanted)]
    return cards[0] if len(cards) == 1 else Deck(cards, "average")

"""Decks of cards, and the gates that play them."""

from winninghand.decks import gates
from winninghand.decks.deck import Deck
from winninghand.decks.file import inspect_file, load
from winninghand.decks.gate import GATES, Gate

__all__ = ["GATES", "Deck", "Gate", "gates", "inspect_file", "load"]

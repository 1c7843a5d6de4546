"""Decks of cards, and the gates that play them."""

from winninghand.decks.adaptation import adaptation_of, with_bn_adaptation
from winninghand.decks.deck import Deck
from winninghand.decks.file import inspect_file, load
from winninghand.decks.fitting import fit_gate
from winninghand.decks.gate import GATES, Gate
from winninghand.decks.prediction import Prediction, Unreadable, image_paths, predict

__all__ = [
    "GATES",
    "Deck",
    "Gate",
    "Prediction",
    "Unreadable",
    "adaptation_of",
    "fit_gate",
    "image_paths",
    "inspect_file",
    "load",
    "predict",
    "with_bn_adaptation",
]

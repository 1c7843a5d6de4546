"""Decks of cards, the gates that play them, and the files of both.

Each name is loaded when it is first used, so that a card can be opened without all that fits a deck.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from winninghand.base.deprecation import renamed

if TYPE_CHECKING:
    from winninghand.decks.adaptation import adaptation_of, with_bn_adaptation
    from winninghand.decks.deck import Deck
    from winninghand.decks.fitting import fit_gate
    from winninghand.decks.gate import GATES, Gate, GateSettings, limited
    from winninghand.decks.opening import inspect_file, load, load_card, model_path
    from winninghand.decks.prediction import Prediction, Unreadable, image_paths, predict

_HOMES = {
    "GATES": "gate",
    "Deck": "deck",
    "Gate": "gate",
    "GateSettings": "gate",
    "Prediction": "prediction",
    "Unreadable": "prediction",
    "adaptation_of": "adaptation",
    "fit_gate": "fitting",
    "image_paths": "prediction",
    "inspect_file": "opening",
    "limited": "gate",
    "load": "opening",
    "load_card": "opening",
    "model_path": "opening",
    "predict": "prediction",
    "with_bn_adaptation": "adaptation",
}

__all__ = [
    "GATES",
    "Deck",
    "Gate",
    "GateSettings",
    "Prediction",
    "Unreadable",
    "adaptation_of",
    "fit_gate",
    "image_paths",
    "inspect_file",
    "limited",
    "load",
    "load_card",
    "model_path",
    "predict",
    "with_bn_adaptation",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
        if name == "adapted":
            renamed("winninghand.decks.adapted", "with_bn_adaptation")
            name = "with_bn_adaptation"
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return globals()[name]

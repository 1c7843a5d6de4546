"""Decks of cards, the gates that play them, and the files of both.

Each name is loaded when it is first used, so that a card can be opened without all that fits a deck.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from winninghand.base.deprecation import renamed

if TYPE_CHECKING:
    from winninghand.decks.adaptation import with_bn_adaptation
    from winninghand.decks.bodies import share_body
    from winninghand.decks.deck import Deck
    from winninghand.decks.fitting import fit_gate
    from winninghand.decks.gate import GATES, Gate, GateSettings, limited
    from winninghand.decks.opening import inspect_file, load, load_card, model_path

_HOMES = {
    "GATES": "gate",
    "Deck": "deck",
    "Gate": "gate",
    "GateSettings": "gate",
    "fit_gate": "fitting",
    "inspect_file": "opening",
    "limited": "gate",
    "load": "opening",
    "load_card": "opening",
    "model_path": "opening",
    "share_body": "bodies",
    "with_bn_adaptation": "adaptation",
}

__all__ = [
    "GATES",
    "Deck",
    "Gate",
    "GateSettings",
    "fit_gate",
    "inspect_file",
    "limited",
    "load",
    "load_card",
    "model_path",
    "share_body",
    "with_bn_adaptation",
]

# What version 0.1 had here, and where it is now.
_MOVED = {
    "Prediction": "winninghand.cards.prediction.Prediction",
    "Unreadable": "winninghand.cards.prediction.Unreadable",
    "adaptation_of": "winninghand.cards.player.adaptation_of",
    "adapted": "winninghand.decks.adaptation.with_bn_adaptation",
    "image_paths": "winninghand.cards.prediction.image_paths",
    "predict": "winninghand.cards.prediction.predictions",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
        if name in _MOVED:
            renamed(f"winninghand.decks.{name}", _MOVED[name])
            home, _, new = _MOVED[name].rpartition(".")
            return getattr(import_module(home), new)
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return globals()[name]

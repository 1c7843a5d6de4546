"""Decks of cards, the gates that play them, and the files of both.

Each name is loaded when it is first used, so that a card can be opened without all that fits a deck.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from winninghand.base.deprecation import renamed

if TYPE_CHECKING:
    from winninghand.cards.container import model_path
    from winninghand.cards.opening import load_card
    from winninghand.decks.adaptation import with_bn_adaptation
    from winninghand.decks.bodies import share_body
    from winninghand.decks.deck import Deck
    from winninghand.decks.fitting import fit_gate
    from winninghand.decks.gate import GATES, Gate, GateSettings, limited
    from winninghand.decks.opening import inspect_file, load

_HOMES = {
    "GATES": "decks.gate",
    "Deck": "decks.deck",
    "Gate": "decks.gate",
    "GateSettings": "decks.gate",
    "fit_gate": "decks.fitting",
    "inspect_file": "decks.opening",
    "limited": "decks.gate",
    "load": "decks.opening",
    "load_card": "cards.opening",
    "model_path": "cards.container",
    "share_body": "decks.bodies",
    "with_bn_adaptation": "decks.adaptation",
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

# What version 0.1 had here, where it is now, and what to use.
_MOVED = {
    "Prediction": ("cards.prediction:Prediction", "winninghand.cards.Prediction"),
    "Unreadable": ("cards.prediction:Unreadable", "deck.predict, which takes files that cannot be read"),
    "adaptation_of": ("cards.player:adaptation_of", "winninghand.cards.adaptation_of"),
    "adapted": ("decks.adaptation:with_bn_adaptation", "winninghand.decks.with_bn_adaptation"),
    "image_paths": ("cards.prediction:image_paths", "deck.predict, which takes folders"),
    "predict": ("cards.prediction:predictions", "deck.predict"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
        if name in _MOVED:
            place, new = _MOVED[name]
            renamed(f"winninghand.decks.{name}", new)
            home, _, present = place.partition(":")
            return getattr(import_module(f"winninghand.{home}"), present)
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(f"winninghand.{_HOMES[name]}"), name)
        return globals()[name]

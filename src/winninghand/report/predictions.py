"""Predictions for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from winninghand.base.errors import shown
from winninghand.base.version import __version__
from winninghand.cards import Card, adaptation_of
from winninghand.cards.prediction import Prediction, Unreadable
from winninghand.decks import Deck
from winninghand.report.terminal import say

# Long enough for any path: a program reads these lines.
_LONGEST = 10_000

Answers = Sequence[Prediction | Unreadable]


def lines(answers: Iterable[Prediction | Unreadable]) -> list[str]:
    """Return one line for each image that could be read: file, class, probability, cards played.

    The four are separated by tabs, and none holds a tab or a line's end: see `base.errors.shown`.
    """
    return [_line(answer) for answer in answers if isinstance(answer, Prediction)]


def _line(answer: Prediction) -> str:
    path, label = shown(answer.path, _LONGEST), shown(answer.label, _LONGEST)
    return f"{path}\t{label}\t{answer.probability:.4f}\t{','.join(map(str, answer.cards))}"


def print_failures(answers: Answers) -> None:
    """List the files that could not be read."""
    failed = [answer for answer in answers if isinstance(answer, Unreadable)]
    if failed:
        say(f"{len(failed)} of {len(answers)} files could not be read:")
    for answer in failed:
        say(answer.reason)


def prediction_document(name: str, model: Card | Deck, answers: Answers) -> dict[str, Any]:
    """Return all predictions as plain values."""
    return {
        "model": name,
        "winninghand": __version__,
        "gate": model.gate,
        "adaptation": adaptation_of(model),
        "cards": [(card.metadata.domain or {}).get("name") for card in model.cards],
        "predictions": [_row(answer) for answer in answers if isinstance(answer, Prediction)],
        "failed": [
            {"file": str(answer.path), "reason": answer.reason}
            for answer in answers
            if isinstance(answer, Unreadable)
        ],
    }


def _row(answer: Prediction) -> dict[str, Any]:
    return {
        "file": str(answer.path),
        "class": answer.label,
        "probability": answer.probability,
        "cards": list(answer.cards),
    }

"""The report's figures of decks: beside their cards, and who plays when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from winninghand.base.errors import spaced
from winninghand.evaluation import CLEAN, paired_difference
from winninghand.evaluation.table import bootstrap
from winninghand.report.aggregation import corruptions_of
from winninghand.report.study_page.charts import corruption_map, dumbbells
from winninghand.report.study_page.costs import TIMES
from winninghand.report.study_page.figure import (
    ALONE,
    PLACE,
    Chart,
    Figure,
    Row,
    interval,
    number,
    percent,
    points,
    words,
)
from winninghand.report.study_page.shown import Shown
from winninghand.results import Results, RunResult
from winninghand.results.runs import shown


def deck_rows(results: Results, cards: Sequence[Shown]) -> list[Row]:
    """Return a row for each finished deck that was measured under corruptions."""
    singles = {card.runs[0].name: card for card in cards if len(card.runs) == 1}
    rows = []
    for deck in results.decks:
        if not deck.cells:
            continue
        members = [singles[name] for name in deck.about.members if name in singles]
        rows.append(_deck_row(deck, members))
    return rows


def _deck_row(deck: RunResult, members: Sequence[Shown]) -> Row:
    whole = bootstrap(deck.robust_correct)
    row: dict[str, Any] = {
        **common_place(members),
        "series": "deck",
        "label": deck.name,
        "deck": deck.name,
        "cards": len(deck.about.members),
        "gate": deck.about.gate,
        "bytes": deck.about.bytes,
        **{key: getattr(deck.about, key) for key in TIMES},
        "passes": deck.mean_passes,
        "clean": deck.clean_accuracy,
        "robust": deck.robust_accuracy,
        "robust_low": whole.low,
        "robust_high": whole.high,
    }
    known = [card.runs[0] for card in members if card.runs[0].cells]
    if known:
        best = max(known, key=lambda run: run.robust_accuracy)
        row |= {
            "best_card": best.name,
            "best": best.robust_accuracy,
            "average": sum(run.robust_accuracy for run in known) / len(known),
        }
        if len(best.clean.correct) == len(deck.clean.correct):
            gain = paired_difference(deck.robust_correct, best.robust_correct)
            row |= {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high}
    return row


def common_place(members: Sequence[Shown]) -> dict[str, Any]:
    """Return what all cards of a deck have in common; None leaves the deck where filters choose."""
    found: dict[str, Any] = {ALONE: True}
    for key in PLACE:
        values = {card.seed if key == "seed" else getattr(card.place, key) for card in members}
        found[key] = values.pop() if len(values) == 1 else None
    return found


def deck_figure(rows: Sequence[Row]) -> Figure | None:
    """Return decks against the best and the average of their cards."""
    if not rows:
        return None
    columns = [
        words("deck", "deck"),
        percent("clean", "clean"),
        percent("robust", "robust"),
        number("bytes", "bytes"),
        interval("95% interval, robust", "robust"),
        number("cards", "cards"),
        *([words("gate", "gate")] if any(row["gate"] for row in rows) else []),
        number("passes per image", "passes", ".2f"),
        percent("average card", "average"),
        percent("best card", "best"),
        points("gain on the best", "gain"),
        interval("95% interval, gain", "gain", signed=True),
        words("the best card", "best_card"),
    ]
    ends = {"average": "average of its cards", "best": "its best card", "robust": "the deck"}
    charts = []
    if all(row.get("best") is not None for row in rows):
        charts = [Chart("Robust accuracy", dumbbells(ends, "deck", "robust accuracy", ".3~p"))]
    return Figure(
        "decks",
        "Decks and their cards",
        "Robust accuracy of each deck beside that of its cards, single seeds, on the same images; the gain "
        "is paired by image, in points. Passes are the networks run per image.",
        columns,
        rows,
        charts,
    )


def choices_figure(results: Results, cards: Sequence[Shown]) -> Figure | None:
    """Return what weights gates gave the cards of their decks; those that average and choose none, apart."""
    choosing = [deck for deck in results.decks if deck.cells and deck.about.gate != "average"]
    decks = [deck for deck in choosing if all(cell.weights for cell in (deck.clean, *deck.cells))]
    if not decks:
        return None
    singles = {card.runs[0].name: card for card in cards if len(card.runs) == 1}
    keys = {f"c{place}": name for place, name in enumerate([CLEAN, *corruptions_of(decks)])}
    rows: list[Row] = []
    for deck in decks:
        members = [singles[name] for name in deck.about.members if name in singles]
        means = {key: _mean_weights(deck, name) for key, name in keys.items()}
        for index, name in enumerate(_names_of_cards(deck, members)):
            weights = {key: None if found is None else found[index] for key, found in means.items()}
            label = f"{deck.name} · {name}"
            rows.append({**common_place(members), "label": label, "deck": deck.name, "card": name, **weights})
    return Figure(
        "choices",
        "Who plays when",
        "The mean weight that a deck's gate gave each of its cards, over images and severities, percent. A "
        "card of weight 0 is not run.",
        [
            words("deck", "deck"),
            words("card", "card"),
            *(percent(spaced(name), key, 0, name) for key, name in keys.items()),
        ],
        rows,
        [Chart("Weight of each card", corruption_map(keys, [row["label"] for row in rows], "weight"))],
    )


def _mean_weights(deck: RunResult, corruption: str) -> list[float] | None:
    """Return the mean weight of each card over the severities of a corruption."""
    cells = [cell for cell in (deck.clean, *deck.cells) if cell.corruption == corruption]
    found = [cell.weights for cell in cells if cell.weights is not None]
    return np.mean(found, axis=0).tolist() if found else None


def _names_of_cards(deck: RunResult, members: Sequence[Shown]) -> list[str]:
    """Return a short name of each card: its number, and its domain or else what the report calls it."""
    count = len(deck.clean.weights or ())
    names = [shown(domain) for domain in deck.about.choice.get("domains", ())]
    if len(members) == count:
        domains = [member.place.domain for member in members]
        names = domains if len(set(domains)) == count else [member.place.label for member in members]
    known = names if len(names) == count else ["card"] * count
    return [f"{place}. {name}" for place, name in enumerate(known, start=1)]

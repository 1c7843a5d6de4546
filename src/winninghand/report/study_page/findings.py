"""What a study found, in words: the first screen of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from winninghand.base.errors import counted
from winninghand.evaluation import Interval
from winninghand.report.aggregation import corruptions_of
from winninghand.report.page import Step, Tile
from winninghand.report.study_page.against_dense import Difference, differences_of
from winninghand.report.study_page.figure import MEAN, Figure, Row
from winninghand.report.study_page.shown import Shown
from winninghand.results import Results

_CLOSE = 0.02
"""What counts as close to a dense network's robust accuracy."""


def introduction(results: Results) -> str:
    """Say what was measured on what."""
    runs, planned = results.finished, len(results.study["runs"])
    first = runs[0]
    names = corruptions_of(runs)
    severities = sorted({cell.severity for run in runs for cell in run.cells})
    cells = f", clean and under {counted(len(names), 'corruption')} at " if names else ", clean only"
    cells += counted(len(severities), "severity", "severities") if names else ""
    decks = f", and {counted(len(results.decks), 'deck')} of their cards" if results.decks else ""
    done = f"{len(runs)} of {counted(planned, 'run')} {'is' if len(runs) == 1 else 'are'} finished"
    return f"{done}{decks}, measured on {counted(first.images, 'test image')} of {first.about.data}{cells}."


def next_steps(results: Results) -> list[Step]:
    """Say what can be done with a study from here; DIR stands for its folder."""
    steps = []
    if len(results.finished) < len(results.study["runs"]):
        words = "Not all runs are finished. Start the study again: it goes on where it stopped."
        steps.append(Step(words, "winninghand study STUDY.toml --out DIR"))
    words = "Put the tables into a paper, as LaTeX, or into other programs, as CSV."
    steps.append(Step(words, "winninghand report DIR --latex tables --csv tables"))
    if not results.decks:
        words = "Make a deck of the study's cards: its gate plays the cards that fit the images."
        steps.append(Step(words, "winninghand deck a.deck DIR --gate weighted"))
    words = "Look at one card by itself, corruption by corruption."
    steps.append(Step(words, "winninghand evaluate CARD --html card.html"))
    return [
        *steps,
        Step("See which spatial frequencies disturb it.", "winninghand heatmap CARD --out map.svg"),
    ]


def tiles(cards: Sequence[Shown], decks: Sequence[Row], claims: Figure | None) -> list[Tile]:
    """Return the figures to look at first."""
    means = _with_cells(cards)
    found = []
    dense = max((card for card in means if card.place.method == "dense"), key=_robust, default=None)
    if dense is not None:
        found.append(Tile("Dense network, robust", f"{100 * _robust(dense):.1f}%", _note(dense)))
    sparse = max((card for card in means if card.place.method != "dense"), key=_robust, default=None)
    if sparse is not None:
        found.append(Tile("Best sparse card, robust", f"{100 * _robust(sparse):.1f}%", _note(sparse)))
    if decks:
        deck = max(decks, key=lambda row: row["robust"])
        note = f"{deck['deck']}, {deck['passes']:.2f} passes per image"
        found.append(Tile("Best deck, robust", f"{100 * deck['robust']:.1f}%", note))
    if claims is not None:
        verdicts = [row["verdict"] for row in claims.rows]
        note = f"{verdicts.count('fails')} fail, {verdicts.count('undecided')} undecided"
        found.append(Tile("Claims that hold", f"{verdicts.count('holds')} of {len(verdicts)}", note))
    return found


def findings(cards: Sequence[Shown], decks: Sequence[Row], claims: Figure | None) -> list[str]:
    """Return sentences on cards, decks, corruptions and claims, and on how far they can be trusted."""
    return [
        *_of_best(cards),
        *_of_own_domain(cards),
        *_of_smallest(cards),
        *_of_decks(decks),
        *_of_corruptions(cards),
        *_of_claims(claims),
        *_of_caution(cards),
    ]


def _of_best(cards: Sequence[Shown]) -> Iterator[str]:
    sparse = [card for card in _with_cells(cards) if card.place.method != "dense"]
    if not sparse:
        return
    best = max(sparse, key=_robust)
    text = f"{best.place.label} is the most robust sparse card: {100 * _robust(best):.2f}% robust"
    found = _robust_differences(best, cards)
    for one, robust in found:
        under = f" under {one.protocol}" if len(found) > 1 else ""
        text += f", {_signed(robust)} points against {_dense_name(one.dense)}{under}"
    size, whole = _bytes(best), _bytes(found[0][0].dense) if found else None
    if size and whole:
        text += f", in {size / whole:.1%} of its bytes ({size:,.0f} of {whole:,.0f})"
    yield text + "."


def _of_own_domain(cards: Sequence[Shown]) -> Iterator[str]:
    """Say which sparse card is the nearest to a dense network that learned from the same images."""
    same: dict[str | None, list[tuple[Shown, Interval]]] = {}
    for card in _with_cells(cards):
        for one, robust in _robust_differences(card, cards):
            if one.dense.place.domain == card.place.domain:
                same.setdefault(one.protocol, []).append((card, robust))
    for protocol, pairs in same.items():
        card, best = max(pairs, key=lambda pair: pair[1].mean)
        above = sum(robust.mean > 0 for _, robust in pairs)
        with_dense = "with a dense network of the same domain" + (f" under {protocol}" if protocol else "")
        difference = f"{card.place.label}, {_signed(best)} points"
        if len(pairs) == 1:
            is_more = "is more robust than it" if above else "is not more robust than it"
            yield f"The one sparse card {with_dense} {is_more}: {difference}."
        else:
            are = "are" if above > 1 else "is"
            yield (
                f"{above or 'None'} of the {len(pairs)} sparse cards {with_dense} {are} more robust than it; "
                f"the best by that measure is {difference}."
            )


def _of_smallest(cards: Sequence[Shown]) -> Iterator[str]:
    near = []
    for card in _with_cells(cards):
        found, size = _robust_differences(card, cards), _bytes(card)
        if found and size and all(robust.mean > -_CLOSE for _, robust in found):
            near.append((size, card))
    if near:
        size, card = min(near, key=lambda pair: pair[0])
        yield (
            f"The smallest card within {100 * _CLOSE:g} points of its dense network's robust accuracy is "
            f"{card.place.label}: {size:,.0f} bytes, {100 * _robust(card):.2f}% robust."
        )


def _of_decks(decks: Sequence[Row]) -> Iterator[str]:
    gains = [row for row in decks if row.get("gain") is not None]
    if gains:
        row = max(gains, key=lambda one: one["robust"])
        gain = Interval(row["gain"], row["gain_low"], row["gain_high"])
        yield (
            f"The deck {row['deck']} is {100 * row['robust']:.2f}% robust, {_signed(gain)} points against "
            f"its best card, at {row['passes']:.2f} passes per image and {row['bytes'] or 0:,} bytes."
        )


def _of_corruptions(cards: Sequence[Shown]) -> Iterator[str]:
    means = _with_cells(cards)
    if not means:
        return
    best = max(means, key=_robust)
    by_name: dict[str, list[float]] = {}
    for run in best.runs:
        for cell in run.cells:
            by_name.setdefault(cell.corruption, []).append(cell.accuracy)
    accuracy = {name: float(np.mean(values)) for name, values in by_name.items()}
    if len(accuracy) > 1:
        hard, easy = min(accuracy, key=accuracy.__getitem__), max(accuracy, key=accuracy.__getitem__)
        yield (
            f"For {best.place.label} the hardest corruption is {hard.replace('_', ' ')} "
            f"({100 * accuracy[hard]:.1f}%), the easiest {easy.replace('_', ' ')} "
            f"({100 * accuracy[easy]:.1f}%)."
        )


def _of_claims(claims: Figure | None) -> Iterator[str]:
    """Say what is decided; what is not is said by the number of it alone."""
    if claims is None:
        return
    for verdict in ("holds", "fails"):
        for row in claims.rows:
            if row["verdict"] == verdict:
                yield f"{row['label']} {verdict} here: {row['sentence'].rstrip('.')}."
    undecided: dict[str, list[str]] = {}
    for row in claims.rows:
        if row["verdict"] == "undecided":
            protocol = "" if row["label"] == row["claim"] else f" under {row['protocol']}"
            undecided.setdefault(protocol, []).append(row["claim"])
    if undecided:
        named = [f"{', '.join(names)}{protocol}" for protocol, names in undecided.items()]
        yield f"Undecided by these results: {'; '.join(named)}."


def _of_caution(cards: Sequence[Shown]) -> Iterator[str]:
    means = [card for card in cards if card.seed == MEAN]
    if any(card.place.method != "dense" for card in means):
        yield "What is called the best was chosen on these same images, which flatters it a little."
    single = sum(len(card.runs) == 1 for card in means)
    if single:
        yield (
            f"{single} of {counted(len(means), 'choice')} {'has' if single == 1 else 'have'} one seed only, "
            "with intervals over test images alone."
        )


def _with_cells(cards: Sequence[Shown]) -> list[Shown]:
    return [card for card in cards if card.seed == MEAN and all(run.cells for run in card.runs)]


def _robust(card: Shown) -> float:
    return float(np.mean([run.robust_accuracy for run in card.runs]))


def _bytes(card: Shown) -> float | None:
    sizes = [run.about.bytes for run in card.runs if run.about.bytes]
    return float(np.mean(sizes)) if sizes else None


def _robust_differences(card: Shown, cards: Sequence[Shown]) -> list[tuple[Difference, Interval]]:
    """Return the differences from dense networks that are known under corruptions, and these."""
    return [(one, one.robust) for one in differences_of(card, cards) if one.robust is not None]


def _signed(difference: Interval) -> str:
    """Return a difference with its interval in points, with a real minus."""
    return difference.in_points.replace("-", "−")


def _dense_name(dense: Shown) -> str:
    parts = [part for part in (dense.place.network, dense.place.domain) if part]
    return f"the dense network ({', '.join(parts)})"


def _note(card: Shown) -> str:
    return f"{card.place.label}, {counted(len(card.runs), 'seed')}"

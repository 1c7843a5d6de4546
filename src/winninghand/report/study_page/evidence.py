"""The report's figures of decks, claims, runs and failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from winninghand.base.errors import spaced
from winninghand.evaluation import CLEAN, paired_difference
from winninghand.evaluation.table import bootstrap
from winninghand.report.aggregation import corruptions_of
from winninghand.report.study_page.charts import corruption_map, dumbbells, effects
from winninghand.report.study_page.costs import TIMES
from winninghand.report.study_page.figure import (
    Chart,
    Column,
    Figure,
    Row,
    interval,
    number,
    percent,
    points,
    signed,
    words,
)
from winninghand.report.study_page.shown import Shown
from winninghand.results import Results, RunResult
from winninghand.results.runs import shown


def deck_rows(results: Results, cards: Sequence[Shown]) -> list[Row]:
    """Return a row for each deck that was measured on what every card was measured on."""
    singles = {card.runs[0].name: card for card in cards if len(card.runs) == 1}
    rows = []
    for deck in results.measured:
        if (deck.about.kind, deck.about.measured_on) != ("deck", "study") or not deck.cells:
            continue
        members = [singles[name] for name in deck.about.members if name in singles]
        rows.append(_deck_row(deck, members))
    return rows


def _deck_row(deck: RunResult, members: Sequence[Shown]) -> Row:
    whole = bootstrap(deck.robust_correct)
    row: dict[str, Any] = {
        **{key: _common(members, key) for key in ("method", "domain", "network", "protocol")},
        "seed": None,
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


def _common(members: Sequence[Shown], key: str) -> str | None:
    """Return what all cards of a deck have in common; None leaves the deck where filters choose."""
    values = {getattr(card.place, key) for card in members}
    return values.pop() if len(values) == 1 else None


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
        place = {key: _common(members, key) for key in ("method", "domain", "network", "protocol")}
        means = {key: _mean_weights(deck, name) for key, name in keys.items()}
        for index, name in enumerate(_names_of_cards(deck, members)):
            weights = {key: None if found is None else found[index] for key, found in means.items()}
            label = f"{deck.name} · {name}"
            rows.append({**place, "seed": None, "label": label, "deck": deck.name, "card": name, **weights})
    return Figure(
        "choices",
        "Who plays when",
        "The mean weight that a deck's gate gave each of its cards, over images and severities, percent. A "
        "card of weight 0 is not run.",
        [
            words("deck", "deck"),
            words("card", "card"),
            *(percent(spaced(name), key, 0) for key, name in keys.items()),
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


def claim_figures(results: Results) -> list[Figure]:
    """Return the claims with their verdicts, and the comparisons that these stand on."""
    claims = list(results.claims)
    rows = [_claim(claim, _protocols(claims) > 1) for claim in claims]
    if not rows:
        return []
    columns = [words("claim", "claim"), words("sentence", "sentence"), words("verdict", "verdict")]
    columns += [*_tested(), words("protocol", "protocol"), words("compared", "statistic")]
    columns.append(words("missing", "missing"))
    columns = [column for column in columns if any(row.get(column.keys[0]) is not None for row in rows)]
    # One protocol, or none, needs no column.
    columns = [column for column in columns if column.keys != ("protocol",) or _protocols(claims) > 1]
    is_drawn = any(row["low"] is not None and row["high"] is not None for row in rows)
    figures = [
        Figure(
            "claims",
            "Claims",
            "The effect is that of the comparison that speaks least for the claim, in points, with its 95% "
            "interval; p is corrected for all claims. A claim is undecided where these results, so far, "
            "neither bear it out nor refute it.",
            columns,
            rows,
            [Chart("Effects and their intervals", effects())] if is_drawn else [],
        )
    ]
    evidence = [
        {
            **comparison,
            "protocol": claim["protocol"],
            "claim": claim["name"],
            "images": comparison["images"] if comparison["images"] > 1 else None,
        }
        for claim in claims
        for comparison in claim["evidence"]
    ]
    if evidence:
        columns = [words("claim", "claim")]
        columns += [words("protocol", "protocol")] if _protocols(claims) > 1 else []
        columns += [words("comparison", "comparison"), words("expected", "expected")]
        columns += [number("seeds", "seeds"), number("images", "images"), *_tested()]
        columns.append(words("verdict", "verdict"))
        title, how = "Evidence", "Every comparison that a claim stands on; effects are in points."
        figures.append(Figure("evidence", title, how, columns, evidence))
    return figures


def _tested() -> list[Column]:
    return [
        points("effect", "effect"),
        Column("95% interval", ("low", "high"), lambda low, high: f"{signed(low)} to {signed(high)}"),
        Column("p", ("p",), lambda p: "< 0.0001" if p < 1e-4 else f"{p:.4f}"),
    ]


def _protocols(claims: Sequence[Mapping[str, Any]]) -> int:
    return len({claim["protocol"] for claim in claims})


def _claim(row: Mapping[str, Any], several: bool) -> Row:
    keys = ("sentence", "protocol", "verdict", "effect", "low", "high", "p", "statistic")
    return {
        "claim": row["name"],
        "label": f"{row['name']} · {row['protocol']}" if several else row["name"],
        **{key: row[key] for key in keys},
        "missing": "; ".join(row["missing"] or ()) or None,
    }


def failure_figure(results: Results) -> Figure | None:
    """Return the runs that failed or diverged, and those that are not finished yet."""
    rows: list[Row] = [{**row, "state": "failed"} for row in results.failed]
    rows += [{**row, "state": "diverged"} for row in results.diverged]
    names = {row["run"] for row in rows}
    rows += [
        {"run": row["run"], "state": "not finished"}
        for row in results.runs
        if not row["finished"] and row["run"] not in names
    ]
    if not rows:
        return None
    columns = [words("run", "run"), words("state", "state")]
    texts = [number("attempts", "attempts"), words("error", "error"), words("log", "log")]
    columns += [column for column in texts if any(row.get(column.keys[0]) for row in rows)]
    return Figure(
        "failures",
        "Runs without figures",
        "What failed is tried again when the study is started again, and what is not finished goes on; what "
        "diverged stays as it is.",
        columns,
        rows,
    )


def run_figure(cards: Sequence[Shown]) -> Figure:
    """Return every finished run, and what it took."""
    rows, seen = [], set()
    for card in cards:
        run = card.runs[0]
        if len(card.runs) > 1 or run.name in seen or card.seed == "mean":
            continue
        seen.add(run.name)
        about = run.about
        rows.append(
            card.row(
                run=about.run,
                parent=about.parent,
                epochs=about.epochs,
                minutes=None if about.seconds is None else about.seconds / 60,
                validation=about.last_validation_accuracy,
                clean=run.clean_accuracy,
                robust=run.robust_accuracy if run.cells else None,
                bytes=about.bytes,
                images=run.images,
                machine=about.machine,
            )
        )
    columns = [
        words("run", "run"),
        words("extends", "parent"),
        number("epochs", "epochs"),
        number("minutes", "minutes", ".1f"),
        percent("validation", "validation"),
        percent("clean", "clean"),
        percent("robust", "robust"),
        number("bytes", "bytes"),
        number("images", "images"),
    ]
    if any(row["machine"] for row in rows):
        columns.append(words("machine", "machine"))
    return Figure(
        "runs",
        "All finished runs",
        "Epochs and minutes are those of a run's own training, without the run that it extends. Accuracies "
        "in percent; validation after the last epoch, before weights were quantized.",
        columns,
        rows,
        every_seed=True,
    )

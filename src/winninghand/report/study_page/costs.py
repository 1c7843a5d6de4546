"""The report's figure of costs: bytes and milliseconds against robust accuracy, and the Pareto front."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from winninghand.report.study_page.charts import pareto
from winninghand.report.study_page.figure import (
    Chart,
    Column,
    Figure,
    Row,
    interval,
    is_mean,
    mark,
    number,
    spread,
    words,
)
from winninghand.report.study_page.shown import Shown
from winninghand.results import RunResult

TIMES = {"milliseconds_sparse": "the engine", "milliseconds_torch": "PyTorch"}
"""Columns of the results that only studies which ask for times have."""


def size_figure(cards: Sequence[Shown], decks: Sequence[Row]) -> Figure | None:
    """Return bytes, and milliseconds where they were measured, against robust accuracy."""
    rows: list[Row] = []
    for card in cards:
        size, times = _mean_of(card.runs, "bytes"), {key: _mean_of(card.runs, key) for key in TIMES}
        robust = card.accuracy("robust")
        if size is not None and robust:
            rows.append(card.row(bytes=size, **times, **robust))
    rows += [row for row in decks if row.get("bytes") is not None]
    costs = {"bytes": "bytes of the file, logarithmic"}
    costs |= {
        key: f"milliseconds per image by {what}, logarithmic"
        for key, what in TIMES.items()
        if any(row.get(key) is not None for row in rows)
    }
    series = list(dict.fromkeys(row["series"] for row in rows))
    if not rows:
        return None
    marked = [dict(row) for row in rows]
    for key in costs:
        mark_front(marked, key)
    columns: list[Column] = [words("card or deck", "label"), words("seed", "seed")]
    columns += [spread("robust", "robust"), interval("95% interval", "robust")]
    for key, title in costs.items():
        columns.append(number(title.partition(",")[0], key, ",.0f" if key == "bytes" else ",.3f"))
        columns.append(mark("on the front", f"{key}_front"))
    return Figure(
        "size",
        "What robust accuracy costs",
        "The dashed line is the Pareto front: nothing that costs less is more robust than a card or deck on "
        "it. It is drawn of what the filters leave.",
        columns,
        marked,
        [
            Chart(
                f"Robust accuracy against {title.partition(',')[0]}",
                pareto(key, title, series, "~s" if key == "bytes" else "~g"),
            )
            for key, title in costs.items()
        ],
    )


def mark_front(rows: Sequence[Any], key: str) -> None:
    """Say of each row that is shown among means, under `KEY_front`, whether it lies on the front."""
    for row in rows:
        row[f"{key}_front"] = False
    best = -1.0
    means = [row for row in rows if is_mean(row) and row.get(key) is not None]
    for row in sorted(means, key=lambda one: (one[key], -one["robust"])):
        if row["robust"] > best:
            best, row[f"{key}_front"] = row["robust"], True


def _mean_of(runs: Sequence[RunResult], key: str) -> float | None:
    values = [getattr(run.about, key) for run in runs]
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known and len(known) == len(values) else None

"""The report's figures of claims, runs and failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from winninghand.report.study_page.charts import effects
from winninghand.report.study_page.figure import (
    MEAN,
    Chart,
    Column,
    Figure,
    Row,
    number,
    percent,
    points,
    signed,
    words,
)
from winninghand.report.study_page.shown import Shown
from winninghand.results import Results


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
    planned = {one["run"] for one in (*results.study["runs"], *results.study.get("decks", ()))}
    names = planned - {row["run"] for row in rows}
    rows += [
        {"run": row["run"], "state": "not finished"}
        for row in results.runs
        if not row["finished"] and row["run"] in names
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
        if len(card.runs) > 1 or run.name in seen or card.seed == MEAN:
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

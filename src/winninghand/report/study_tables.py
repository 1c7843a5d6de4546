"""A study's tables: means over seeds with their spread, and a log of all runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from winninghand.base.errors import shown
from winninghand.base.files import write_text
from winninghand.evaluation import CLEAN, Interval
from winninghand.report.aggregation import (
    Spread,
    by_family,
    corruptions_of,
    groups,
    mean_accuracy,
    without_overlap,
)
from winninghand.results import Results, RunResult

STUDY_TABLES = TABLE, LOG, CLAIMS = "table.md", "log.md", "claims.md"
"""What a study writes into its folder for people to read."""

DECK_COLUMNS = ("deck", "cards", "gate", "passes", "clean", "robust", "bytes")
ENDED_COLUMNS = ("run", "what came of it", "attempts", "error", "log")
LOG_COLUMNS = ("", "run", "extends", "epochs", "minutes", "validation", "clean", "robust", "bytes")


def summary(runs: Sequence[RunResult]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table, one row per choice, seeds taken together.

    Figures are percent, mean ± standard deviation over the seeds (no spread for a single one).
    `robust` is the mean over all cells. A column per family of corruptions follows. `no overlap`
    leaves out the corruptions that any domain of the study trains on. A choice that a run's method
    ignores is not shown.
    """
    found = groups(runs)
    keys = list(dict.fromkeys(key for group in found for key in group.choice))
    names = corruptions_of(runs)
    families, kept = by_family(names), without_overlap(runs, names)
    columns = [*_short(keys), "seeds", "clean", "robust", *families]
    selections = [[CLEAN], names, *families.values()]
    if len(kept) < len(names):
        columns, selections = [*columns, "no overlap"], [*selections, kept]
    rows = []
    for group in found:
        spreads = [
            Spread.of([mean_accuracy(run, selection) for run in group.runs]) for selection in selections
        ]
        figures = ["" if spread is None else str(spread) for spread in spreads]
        size = statistics.mean(run.about.bytes or 0 for run in group.runs)
        chosen = [group.choice.get(key, "") for key in keys]
        rows.append([*chosen, str(len(group.runs)), *figures, f"{size:,.0f}"])
    return [*columns, "bytes"], rows


def deck_rows(decks: Iterable[RunResult]) -> list[list[str]]:
    """Return a row of `DECK_COLUMNS` for each deck: accuracies in percent, networks run per image, bytes."""
    return [
        [
            deck.name,
            str(len(deck.about.members)),
            deck.about.gate or "",
            f"{deck.mean_passes:.2f}",
            f"{100 * deck.clean_accuracy:.2f}",
            f"{100 * deck.robust_accuracy:.2f}" if deck.cells else "",
            f"{deck.about.bytes or 0:,}",
        ]
        for deck in decks
    ]


def ended_rows(results: Results, folder: Path) -> list[list[str]]:
    """Return a row of `ENDED_COLUMNS` for each run and deck that failed or diverged; logs lie in `folder`."""
    kinds = (("failed", results.failed), ("diverged", results.diverged))
    return [
        [row["run"], kind, str(row["attempts"]), shown(row["error"]), str(folder / row["log"])]
        for kind, rows in kinds
        for row in rows
    ]


def table(title: str, runs: Sequence[RunResult], decks: Sequence[RunResult]) -> str:
    """Return the content of `table.md`: the means over seeds, and below them the decks."""
    parts = [f"{shown(title)}\n", markdown(*summary(runs))]
    parts += [markdown(DECK_COLUMNS, deck_rows(decks))] if decks else []
    return "\n".join(parts)


def log(planned: Iterable[str], runs: Iterable[RunResult]) -> list[list[str]]:
    """Return the rows of the log, one per planned run by its name; one that is not finished has only that.

    Epochs and minutes are those of the run's own training, without what it extends. Accuracies are
    percent, `validation` that of the validation images after the last epoch.
    """
    done = {run.name: run for run in runs}
    return [
        [str(number), name, *(_logged(done[name]) if name in done else [""] * 7)]
        for number, name in enumerate(planned, start=1)
    ]


def write_tables(
    title: str,
    planned: Sequence[str],
    runs: Sequence[RunResult],
    folder: Path,
    decks: Sequence[RunResult] = (),
) -> tuple[list[str], list[list[str]]]:
    """Write `table.md` and `log.md` to the folder of a study; return columns and rows of the means."""
    write_text(table(title, runs, decks), folder / TABLE)
    write_text(markdown(LOG_COLUMNS, log(planned, runs)), folder / LOG)
    return summary(runs)


def write_claims(claims: Iterable[Mapping[str, Any]], folder: Path) -> tuple[list[str], list[list[str]]]:
    """Write `claims.md` to the folder of a study, each comparison below its claim; return the claims' table.

    Effects are in points or percent, with their 95% intervals; p-values are corrected for all claims.
    """
    claims = list(claims)
    columns = ["claim", "protocol", "sentence", "effect", "p", "verdict"]
    rows = [
        [claim["name"], claim["protocol"], claim["sentence"], *_tested(claim), claim["verdict"]]
        for claim in claims
    ]
    parts = [markdown(columns, rows)]
    for claim in claims:
        title = f"## {claim['name']}, {claim['protocol']}: {claim['verdict']}\n\n{claim['sentence']}.\n"
        statistic = f"Compared: {claim['statistic']}.\n"
        missing = f"Missing: {'; '.join(claim['missing'])}.\n" if claim["missing"] else ""
        parts += [part for part in (title, statistic, missing, _evidence(claim["evidence"])) if part]
    write_text("\n".join(parts), folder / CLAIMS)
    return columns, rows


def _evidence(comparisons: Sequence[Mapping[str, Any]]) -> str:
    if not comparisons:
        return ""
    columns = ["comparison", "expected", "seeds", "images", "effect", "p", ""]
    rows = [
        [
            one["comparison"],
            one["expected"],
            str(one["seeds"]),
            f"{one['images']:,}" if one["images"] > 1 else "",
            *_tested(one),
            one["verdict"],
        ]
        for one in comparisons
    ]
    return markdown(columns, rows)


def _tested(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return an effect with its interval, in points or percent, and the p-value, as people read them."""
    if row["effect"] is None:
        return "", ""
    p = "" if row["p"] is None else "< 0.0001" if row["p"] < 1e-4 else f"{row['p']:.4f}"
    if row["low"] is None:
        return f"{100 * row['effect']:+.2f}", p
    return Interval(row["effect"], row["low"], row["high"]).in_points, p


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the table as Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    """Return text that ends neither the cell nor the row."""
    return shown(text, len(text)).replace("|", "\\|")


def _logged(run: RunResult) -> list[str]:
    about = run.about
    validation = about.last_validation_accuracy
    return [
        about.parent or "",
        "" if about.epochs is None else str(about.epochs),
        f"{(about.seconds or 0) / 60:.1f}",
        "" if not validation else f"{100 * validation:.2f}",
        f"{100 * run.clean_accuracy:.2f}",
        f"{100 * run.robust_accuracy:.2f}",
        "" if about.bytes is None else f"{about.bytes:,}",
    ]


def _short(keys: Sequence[str]) -> list[str]:
    """Return the keys without the tables that they stand in, where that still tells them apart."""
    last = [key.rpartition(".")[2] for key in keys]
    return [short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)]

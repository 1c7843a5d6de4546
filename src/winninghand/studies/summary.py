"""A study's table: means over seeds, with their spread."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from winninghand.augmentation import DOMAINS
from winninghand.corruptions import family_of
from winninghand.evaluation import CLEAN
from winninghand.studies.finished import Finished

Choice = tuple[tuple[str, str], ...]


def summarise(runs: Sequence[Finished]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the table, one row per choice, seeds taken together.

    Figures are percent, mean ± standard deviation over the seeds (no spread for a single one).
    `robust` is the mean over all cells; a column per family of corruptions follows; `no overlap`
    leaves out the corruptions that any domain of the study trains on.
    """
    groups = by_choice(runs)
    keys = list(dict.fromkeys(key for group in groups for key, _ in group))
    names = list(dict.fromkeys(name for run in runs for name in run.table.corruptions))
    families = list(dict.fromkeys(family_of(name) for name in names))
    kept = _without_overlap(runs, names)
    columns = [*_short(keys), "seeds", "clean", "robust", *families]
    columns += ["no overlap"] if len(kept) < len(names) else []
    rows = []
    for group, members in groups.items():
        selections = [[CLEAN], names]
        selections += [[name for name in names if family_of(name) == family] for family in families]
        selections += [kept] if len(kept) < len(names) else []
        figures = [_figure([_mean(run, selection) for run in members]) for selection in selections]
        size = statistics.mean(run.record.bytes for run in members)
        chosen = dict(group)
        rows.append([*(chosen.get(key, "") for key in keys), str(len(members)), *figures, f"{size:,.0f}"])
    return [*columns, "bytes"], rows


def by_choice(runs: Iterable[Finished]) -> dict[Choice, list[Finished]]:
    """Return the runs by what was chosen for them, seeds taken together."""
    groups: dict[Choice, list[Finished]] = defaultdict(list)
    for run in runs:
        choice = tuple((key, _shown(value)) for key, value in run.entry.choice.items() if key != "seed")
        groups[choice].append(run)
    return groups


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the table as Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _short(keys: Sequence[str]) -> list[str]:
    """Return the keys without the tables that they stand in, where that still tells them apart."""
    last = [key.rpartition(".")[2] for key in keys]
    return [short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)]


def _without_overlap(runs: Sequence[Finished], names: Sequence[str]) -> list[str]:
    trained_on = {name for run in runs for name in DOMAINS[run.entry.recipe.domain["name"]].overlaps}
    return [name for name in names if not {name, family_of(name)} & trained_on]


def _mean(run: Finished, names: Sequence[str]) -> float:
    table = run.table
    cells = [(CLEAN, table.clean_accuracy), *((cell.corruption, cell.accuracy) for cell in table.cells)]
    return statistics.mean(accuracy for name, accuracy in cells if name in names)


def _figure(values: Sequence[float]) -> str:
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f}{spread}"


def _shown(value: object) -> str:
    return str(value["name"]) if isinstance(value, dict) and "name" in value else str(value)

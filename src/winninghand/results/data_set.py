"""A study's results on disk: `study.json`, and `cells.parquet` with a part per run while it grows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from winninghand.base.errors import InputError, checked_path, counted
from winninghand.base.files import write_sealed
from winninghand.evaluation import Heatmap
from winninghand.results.cells import PARTS, WHOLE, convert_cells, parts, read_cells, write_cells
from winninghand.results.fourier import read_fourier
from winninghand.results.outcomes import COLUMNS, read_outcomes
from winninghand.results.runs import RunResult, check_same_corruptions
from winninghand.results.schema import (
    CELL_COLUMNS,
    CLAIM_COLUMNS,
    RUN_COLUMNS,
    SCHEMA,
    arrow_schema,
    pyarrow,
)
from winninghand.results.study_file import FOLDER, STUDY, read_study


class Rows(Sequence[dict[str, Any]]):
    """Rows of plain values, one dict each; `arrow` is the same as a pyarrow table."""

    def __init__(self, arrow: Any) -> None:  # noqa: ANN401 (pyarrow has no types)
        self.arrow = arrow

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Rows: ...
    def __getitem__(self, place: int | slice) -> dict[str, Any] | Rows:
        if isinstance(place, slice):
            return Rows(self.arrow.take(list(range(*place.indices(len(self))))))
        row: dict[str, Any] = self.arrow.take([range(len(self))[place]]).to_pylist()[0]
        return row

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self.arrow.to_pylist()

    def __repr__(self) -> str:
        return f"Rows({len(self)} × {self.arrow.num_columns}: {', '.join(self.arrow.column_names)})"

    def to_pandas(self) -> Any:  # noqa: ANN401 (a pandas.DataFrame)
        """Return the rows as a pandas data frame; `InputError` where pandas is not installed."""
        try:
            return self.arrow.to_pandas()
        except ImportError as error:
            raise InputError(
                "pandas is not installed; pip install 'winninghand[pandas]', or use the rows as they are"
            ) from error


class Results:
    """The results of a study in its folder, or in the folder `results` within it.

    They can be read while the study runs, here or by any reader of Parquet: `cells.parquet` and the files
    in `cells/` have the same columns. What lies on disk is read once, when it is first asked for.

    Raises `InputError` where the folder holds no results, or those of another schema.
    """

    def __init__(self, folder: Path | str) -> None:
        given = checked_path("the folder of a study", folder)
        inner = given / FOLDER
        self.folder = inner if inner.is_dir() else given
        if not (self.folder / STUDY).is_file():
            fault = f"there is no {STUDY} in it" if given.is_dir() else "there is no such folder"
            raise InputError(
                f"{folder} holds no results of a study: {fault}; give the folder that 'winninghand study "
                "--out' wrote"
            )

    @cached_property
    def study(self) -> dict[str, Any]:
        """What `study.json` says: title, evaluation settings, the runs that are planned."""
        return read_study(self.folder / STUDY)

    @property
    def title(self) -> str:
        """The study's title."""
        return str(self.study["title"])

    @cached_property
    def measured(self) -> tuple[RunResult, ...]:
        """Every run and deck, once for each kind of images that it was measured on.

        The planned runs come first, then the planned decks, each in the order of the plan.
        """
        return _measured(self.cells, [one["run"] for one in (*self.study["runs"], *self._decks)])

    @property
    def finished(self) -> tuple[RunResult, ...]:
        """The planned runs that are finished, in the order of the plan.

        A run that was measured otherwise than the study asks for now is not finished. Raises `InputError`
        where some were measured under corruptions that others were not.
        """
        planned = {one["run"] for one in self.study["runs"]}
        return tuple(run for run in self._asked if run.name in planned)

    @cached_property
    def cells(self) -> Rows:
        """One row per run and cell: see `winninghand.results.schema` and `About` for the columns."""
        return Rows(read_cells(self.folder))

    @cached_property
    def runs(self) -> Rows:
        """One row per planned run, deck and kind of images, with its mean accuracies.

        What has no figures has nothing but its name, its choice and its parent. `finished` says whether
        there are figures of what is asked for now. `outcome` is `trained`, `diverged` or `failed`; null of a
        finished deck and of what is still to come.
        """
        columns = {
            **RUN_COLUMNS,
            "images": "int64",
            "finished": "bool",
            "outcome": "string",
            "clean_accuracy": "float64",
            "robust_accuracy": "float64",
            "mean_passes": "float64",
        }
        done, outcomes = {run.name for run in self.measured}, read_outcomes(self.folder)
        rows = [
            {
                **run.about.row(),
                "images": run.images,
                "finished": run.about.measured_on != "study" or self._is_as_asked(run),
                "outcome": "trained" if run.about.kind == "card" else None,
                "clean_accuracy": run.clean_accuracy,
                "robust_accuracy": run.robust_accuracy if run.cells else None,
                "mean_passes": run.mean_passes,
            }
            for run in self.measured
        ]
        rows += [
            {
                "run": one["run"],
                "kind": kind,
                "choice": json.dumps(one["choice"]),
                "parent": one.get("parent"),
                "finished": False,
                "outcome": outcomes[one["run"]].kind if one["run"] in outcomes else None,
            }
            for kind, planned in (("card", self.study["runs"]), ("deck", self._decks))
            for one in planned
            if one["run"] not in done
        ]
        return Rows(pyarrow().Table.from_pylist(rows, schema=arrow_schema(columns)))

    @cached_property
    def failed(self) -> Rows:
        """One row per run that failed: how often it was tried, with what error, and where its log lies."""
        return self._ended("failed")

    @cached_property
    def diverged(self) -> Rows:
        """One row per run whose training diverged, with the columns of `failed`; it is not tried again."""
        return self._ended("diverged")

    def _ended(self, kind: str) -> Rows:
        planned = {one["run"] for one in (*self.study["runs"], *self._decks)}
        found = [
            one.row()
            for one in read_outcomes(self.folder).values()
            if one.kind == kind and one.run in planned
        ]
        return Rows(pyarrow().Table.from_pylist(found, schema=arrow_schema(COLUMNS)))

    @cached_property
    def claims(self) -> Rows:
        """One row per protocol and claim of `CLAIMS`, judged by the runs that are finished.

        `effect`, `low` and `high` are those of the comparison that speaks least for the claim, with its 95%
        interval, fractions; `p` is corrected for all claims of the protocol; `verdict` is `holds`, `fails` or
        `undecided`. `evidence` has every comparison, `missing` what the study has no runs of.
        """
        from winninghand.results.claims.judging import judged  # who only writes needs none of it

        decks = {one["run"] for one in self._decks}
        ended = {
            row["run"]: "which could not be made" if row["run"] in decks else f"whose training {kind}"
            for kind in ("failed", "diverged")
            for row in self._ended(kind)
        }
        rows = list(judged(self._compared, [*self.study["runs"], *self._decks], ended))
        return Rows(pyarrow().Table.from_pylist(rows, schema=arrow_schema(CLAIM_COLUMNS)))

    @property
    def decks(self) -> tuple[RunResult, ...]:
        """The decks that are finished, measured as every card of the study is.

        Of a study whose file asks for decks they are the planned ones, in the order of the plan.
        """
        planned = {one["run"] for one in self._decks}
        return tuple(
            run for run in self._asked if run.about.kind == "deck" and (not planned or run.name in planned)
        )

    @property
    def _decks(self) -> list[dict[str, Any]]:
        """The planned decks; earlier versions wrote none."""
        found: list[dict[str, Any]] = self.study.get("decks", [])
        return found

    @property
    def _compared(self) -> list[RunResult]:
        """The finished runs, and decks of planned runs."""
        planned = {one["run"] for one in self.study["runs"]}
        return [*self.finished, *(deck for deck in self.decks if planned.issuperset(deck.about.members))]

    @cached_property
    def _asked(self) -> tuple[RunResult, ...]:
        """The runs and decks that were measured as the study asks for now, all under the same corruptions."""
        found = tuple(run for run in self.measured if self._is_as_asked(run))
        check_same_corruptions(found)
        return found

    def _is_as_asked(self, run: RunResult) -> bool:
        """Say whether a run was measured on what the study asks for now."""
        return run.about.measured_on == "study" and run.about.evaluation == self.study["evaluation"]

    @cached_property
    def fourier(self) -> dict[str, Heatmap]:
        """Fourier heatmaps of the cards that the study's file asks for, by their runs."""
        return read_fourier(self.folder)

    def __repr__(self) -> str:
        runs = counted(len(self.study["runs"]), "run")
        return f"Results({str(self.folder)!r}: {len(self.finished)} of {runs} finished)"


def _measured(cells: Rows, order: Iterable[str] = ()) -> tuple[RunResult, ...]:
    """Return each run and deck of the rows, once for each kind of images; those in `order` come first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in cells:
        groups.setdefault((row["run"], row["measured_on"]), []).append(row)
    places = {name: place for place, name in enumerate(order)}
    found = sorted(groups.values(), key=lambda rows: places.get(rows[0]["run"], len(places)))
    return tuple(RunResult.from_rows(rows) for rows in found)


class ResultsWriter:
    """Writes a study's results below its folder; one process at a time, each file whole or not at all."""

    def __init__(self, out: Path | str) -> None:
        pyarrow()  # missing, it is said now and not after the first training
        self.folder = Path(out) / FOLDER

    def read(self) -> tuple[RunResult, ...]:
        """Return what has been measured so far; also where `study.json` was deleted, as a damaged one is."""
        if (self.folder / STUDY).is_file():
            return Results(self.folder).measured
        return _measured(Rows(read_cells(self.folder)))

    def write_study(
        self,
        title: str,
        data: str,
        evaluation: Mapping[str, Any],
        runs: Iterable[Mapping[str, Any]],
        version: str,
        decks: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Write `study.json`, and older files anew.

        Each planned run has `run`, `parent` and `choice`; each deck `run`, `cards` and `choice`.
        """
        convert_cells(self.folder)
        study = {
            "schema": SCHEMA,
            "winninghand": version,
            "title": title,
            "data": data,
            "evaluation": dict(evaluation),
            "runs": [dict(one) for one in runs],
            "decks": [dict(one) for one in decks],
        }
        write_sealed(study, self.folder / STUDY)

    def add(self, run: RunResult) -> None:
        """Write a run as a part of its own, in place of what was known of it on these images."""
        name = run.name if run.about.measured_on == "study" else f"{run.name}.{run.about.measured_on}"
        schema = arrow_schema({**RUN_COLUMNS, **CELL_COLUMNS})
        table = pyarrow().Table.from_pylist(run.rows(), schema=schema)
        write_cells(table, self.folder / PARTS / f"{name}.parquet")

    def compact(self) -> None:
        """Make one file of all parts."""
        found = parts(self.folder)
        if not found:
            return
        write_cells(read_cells(self.folder), self.folder / WHOLE)
        for part in found:
            part.unlink()
        if not any((self.folder / PARTS).iterdir()):
            (self.folder / PARTS).rmdir()

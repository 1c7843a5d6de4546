"""The data set of a study: whole, readable while it grows, and true to what was measured."""

import dataclasses
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import winninghand as wh
from winninghand.base.errors import InputError
from winninghand.base.files import read_sealed, write_sealed
from winninghand.evaluation import CLEAN, Cell, Outcome
from winninghand.report.study_tables import summary
from winninghand.results import About, CellResult, ResultsWriter, RunResult, cells
from winninghand.results.cells import write_cells
from winninghand.results.outcomes import read_outcomes

PLANNED = [{"run": name, "parent": None, "choice": {"seed": seed}} for seed, name in enumerate("abc")]
SHIPPED = Path(__file__).parents[2] / "studies/conv4/results"
EVALUATION = {"corruptions": "fog", "severities": [1, 5], "limit": 20, "seed": 0, "batch_size": 256}
RECIPE = {
    "network": {"name": "conv2"},
    "domain": {"name": "augmix"},
    "seed": 3,
    "compression": {"method": "lrr", "sparsity": 0.8},
}


def run_of(name, rate=0.5, measured_on="study", **about):
    """Make a run that answers `rate` of 21 images rightly, and fewer when they are corrupted."""
    generator = np.random.default_rng(len(name))

    def cell(corruption, severity, share, source="generated"):
        correct = generator.random(21) < share
        confidence = generator.random(21).astype(np.float32)
        return Cell(corruption, severity, Outcome(correct, confidence, np.full(21, 2.0, np.float32)), source)

    cells = [cell(CLEAN, 0, rate, "split"), cell("fog", 1, rate), cell("fog", 5, rate / 2)]
    known = {"choice": {"seed": 0}, "recipe": RECIPE, "bytes": 100, "seconds": 1.5, "epochs": 2, **about}
    return RunResult.of(
        About(name, "card", measured_on, "tiny", EVALUATION, **known), map(CellResult.of, cells)
    )


@pytest.fixture
def writer(tmp_path):
    writer = ResultsWriter(tmp_path)
    writer.write_study("a title", "tiny", EVALUATION, PLANNED, wh.__version__)
    return writer


def test_what_was_measured_comes_back(writer, tmp_path):
    run = run_of("b", test_accuracy=0.25, versions={"torch": "2"}, members=("x", "y"))
    writer.add(run)
    (back,) = wh.Results(tmp_path).measured
    assert back.about == run.about
    for one, other in zip((back.clean, *back.cells), (run.clean, *run.cells), strict=True):
        assert np.array_equal(one.correct, other.correct)
        assert one.row() == other.row()
    assert (back.robust_accuracy, back.mean_passes) == (run.robust_accuracy, 2)


def test_rows_can_be_read_while_the_study_runs_and_after_it(writer, tmp_path):
    runs = [run_of("c"), run_of("a"), run_of("a", measured_on="all")]
    for run in runs:
        writer.add(run)
    growing = wh.Results(tmp_path)
    rows = growing.cells.arrow
    assert [run.name for run in growing.measured] == ["a", "a", "c"]  # as they are planned
    assert [(row["run"], row["finished"]) for row in growing.runs] == [
        ("a", True),
        ("a", True),
        ("c", True),
        ("b", False),
    ]
    assert growing.cells[0]["sparsity"] == 0.8
    writer.compact()
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["cells.parquet", "study.json"]
    table = pq.read_table(tmp_path / "results/cells.parquet")
    assert table.num_rows == 9
    assert wh.Results(tmp_path / "results").cells.arrow.equals(rows)


@pytest.mark.parametrize("reader", ["pandas", "polars", "duckdb", "pyarrow.dataset"])
def test_other_readers_of_parquet_read_a_study_that_grows(reader, writer, tmp_path):
    library = pytest.importorskip(reader)
    writer.add(run_of("a"))
    writer.compact()
    writer.add(run_of("b"))
    folder = tmp_path / "results"
    if reader == "pandas":
        rows = sum(len(library.read_parquet(path)) for path in folder.rglob("*.parquet"))
    elif reader == "polars":
        rows = len(library.read_parquet(folder / "**/*.parquet"))
    elif reader == "duckdb":
        ((rows,),) = library.sql(f"SELECT count(accuracy) FROM '{folder}/**/*.parquet'").fetchall()
    else:
        files = [str(path) for path in folder.rglob("*.parquet")]
        rows = library.dataset(files).to_table().num_rows
    assert rows == 6


def test_a_part_takes_the_place_of_what_was_known_of_its_run(writer, tmp_path):
    writer.add(run_of("a", 0.2))
    writer.add(run_of("b"))
    writer.compact()
    better = run_of("a", 0.9)
    writer.add(better)
    assert {run.name: run.clean_accuracy for run in wh.Results(tmp_path).measured} == {
        "a": better.clean_accuracy,
        "b": run_of("b").clean_accuracy,
    }
    writer.compact()
    assert len(wh.Results(tmp_path).measured) == 2


def test_the_plan_may_be_written_again(writer, tmp_path):
    writer.write_study("another title", "tiny", EVALUATION, PLANNED, wh.__version__)
    results = wh.Results(tmp_path)
    assert results.title == "another title"
    assert len(results.runs) == 3
    assert repr(results).endswith("0 of 3 runs finished)")


def test_results_of_schema_1_are_read_and_go_on_as_of_today(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "results")
    before = wh.Results(tmp_path)
    assert pq.read_schema(tmp_path / "results/cells.parquet").metadata[b"winninghand.schema"] == b"1"
    assert before.cells[0]["protocol"] is None
    assert {row["protocol"] for row in before.claims} == {"unstated"}
    writer = ResultsWriter(tmp_path)
    study = before.study
    writer.write_study(study["title"], study["data"], study["evaluation"], study["runs"], wh.__version__)
    writer.add(run_of("a"))
    tables = [pq.read_schema(path) for path in sorted((tmp_path / "results").rglob("*.parquet"))]
    assert tables[0].equals(tables[1])
    after = wh.Results(tmp_path)
    assert "claims" not in after.study
    assert after.cells.arrow.slice(0, len(before.cells)).equals(before.cells.arrow)
    assert list(after.claims) == list(before.claims)


def test_results_from_before_a_column_was_added_are_read_and_go_on_as_of_today(writer, tmp_path):
    writer.add(run_of("a"))
    path = tmp_path / "results/cells/a.parquet"
    table = pq.read_table(path).drop_columns(["weights"])
    kept = {key: value for key, value in table.schema.metadata.items() if key != b"winninghand.digest"}
    pq.write_table(table.replace_schema_metadata(kept), path)
    (before,) = wh.Results(tmp_path).measured
    assert before.clean.weights is None
    writer.write_study("a title", "tiny", EVALUATION, PLANNED, wh.__version__)
    assert "weights" in pq.read_schema(path).names
    (after,) = wh.Results(tmp_path).measured
    assert after.rows()[0]["accuracy"] == before.rows()[0]["accuracy"]


def test_columns_that_a_later_version_adds_are_left_alone(writer, tmp_path):
    writer.add(run_of("a"))
    path = tmp_path / "results/cells/a.parquet"
    table = pq.read_table(path)
    write_cells(table.append_column("joules", pa.array([1.5] * len(table))), path)
    assert [run.name for run in wh.Results(tmp_path).measured] == ["a"]
    table = pq.read_table(path)
    changed = table.set_column(table.column_names.index("joules"), "joules", pa.array([2.5] * len(table)))
    pq.write_table(changed, path)
    with pytest.raises(InputError, match="does not fit its digest"):
        len(wh.Results(tmp_path).cells)


def test_parts_that_become_one_file_are_read_from_it(writer, tmp_path, monkeypatch):
    writer.add(run_of("a"))
    listed, seen = cells.parts, []

    def parts(folder):
        found = listed(folder)
        seen.append(found)
        if len(seen) == 1:
            writer.compact()
        return found

    monkeypatch.setattr(cells, "parts", parts)
    assert [run.name for run in wh.Results(tmp_path).measured] == ["a"]
    assert len(seen[0]) == 1


def test_nobody_finds_a_file_that_is_half_written(writer, tmp_path, monkeypatch):
    right, found = pq.write_table, []

    def write(*words, **settings):
        found.extend((tmp_path / "results").rglob("*.parquet"))
        right(*words, **settings)

    monkeypatch.setattr(pq, "write_table", write)
    writer.add(run_of("a"))
    assert found == []
    assert pq.read_table(tmp_path / "results/cells/a.parquet").num_rows == 3


def test_a_killed_write_is_not_read(writer, tmp_path):
    writer.add(run_of("a"))
    (tmp_path / "results/cells/.b.parquet.xyz.parquet").write_bytes(b"half")
    assert len(wh.Results(tmp_path).measured) == 1


def test_other_results_are_refused_in_one_line(writer, tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        wh.Results(tmp_path / "elsewhere")
    writer.add(run_of("a"))
    part = tmp_path / "results/cells/a.parquet"
    content = part.read_bytes()
    part.write_bytes(content[:-100])
    with pytest.raises(InputError, match=r"a\.parquet is not a readable .*, or delete it to measure again"):
        len(wh.Results(tmp_path).cells)
    part.write_bytes(content)
    study = tmp_path / "results/study.json"
    write_sealed({**read_sealed(study), "schema": 99}, study)
    with pytest.raises(InputError, match="schema 99"):
        str(wh.Results(tmp_path).title)
    study.write_text("{")
    with pytest.raises(InputError, match=r"study\.json is damaged .*; delete it and start the study again"):
        str(wh.Results(tmp_path).title)
    study.unlink()
    assert [run.name for run in writer.read()] == ["a"]  # what was measured is not lost by that
    (tmp_path / "results/outcomes.json").write_text("{")
    with pytest.raises(InputError, match=r"outcomes\.json is damaged .*; delete it"):
        read_outcomes(writer.folder)


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("accuracy", 1.5, "'accuracy' holds what cannot be"),
        ("rms_calibration_error", float("nan"), "'rms_calibration_error'"),
        ("severity", 6, "'severity'"),
        ("images", 2**40, "'images'"),
        ("images", 22, None),
        ("images", 90, "'correct'"),
        ("correct", b"", "'correct'"),
        ("run", None, "'run'"),
        ("kind", "joker", "kind: input should be 'card' or 'deck'"),
        ("evaluation", "[]", "evaluation"),
        ("evaluation", '{"batch_size": 1}', "seed"),
        ("recipe", "{", "the results of a are damaged"),
        ("recipe", '{"seed": 1}', "compression"),
        ("choice", "[" * 100_000, "the results of a are damaged"),
        ("corruption", "fog", "lacks the figures of its clean images"),
    ],
)
def test_cells_that_nothing_measured_are_refused(column, value, named, writer, tmp_path):
    writer.add(run_of("a"))
    path = tmp_path / "results/cells/a.parquet"
    table = pq.read_table(path)
    changed = pa.array([value] * len(table), table.schema.field(column).type)
    changed_table = table.set_column(table.column_names.index(column), table.schema.field(column), changed)
    write_cells(changed_table, path)  # its digest is right
    if named is None:
        assert len(wh.Results(tmp_path).measured) == 1
        return
    with pytest.raises(InputError, match=named) as error:
        len(wh.Results(tmp_path).measured)
    assert "\n" not in str(error.value)


def test_a_run_that_lacks_a_corruption_of_another_s_has_no_figure_there():
    run, other = run_of("a"), run_of("a", choice={"seed": 1})
    cells = tuple(dataclasses.replace(cell, corruption="contrast") for cell in run.cells)
    columns, ((*_, fog, _),) = summary([run, dataclasses.replace(other, cells=cells)])
    assert (columns[-2], fog) == ("digital", "")


def test_cells_whose_digest_does_not_fit_are_refused(writer, tmp_path):
    writer.add(run_of("a"))
    path = tmp_path / "results/cells/a.parquet"
    table = pq.read_table(path)
    device = pa.array(["moon"] * len(table), pa.string())
    pq.write_table(table.set_column(table.column_names.index("device"), "device", device), path)
    with pytest.raises(InputError, match="does not fit its digest"):
        len(wh.Results(tmp_path).measured)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"title": 3}, "title"),
        ({"schema": True}, "schema True"),
        ({"schema": [1]}, "schema"),
        ({"evaluation": []}, "evaluation"),
        ({"runs": {}}, "runs"),
        ({"runs": [3]}, r"runs\.0"),
        ({"runs": [{"run": [], "parent": None, "choice": {}}]}, r"runs\.0\.run"),
        ({"runs": [{"run": "a", "parent": None}]}, r"runs\.0\.choice"),
    ],
)
def test_a_file_that_no_study_writes_is_refused(change, named, writer, tmp_path):
    study = tmp_path / "results/study.json"
    write_sealed({**read_sealed(study), **change}, study)  # its digest is right
    with pytest.raises(InputError, match=named) as error:
        str(wh.Results(tmp_path).title)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["cells.parquet", "study.json"])
def test_a_flipped_bit_is_refused_or_changes_nothing(name, writer, tmp_path):
    def read():
        results = wh.Results(tmp_path)
        # A flip in the name of the digest leaves a key that nobody reads.
        return list(results.cells), {key: results.study[key] for key in KEYS}

    writer.add(run_of("a"))
    writer.compact()
    path, draw, refused = tmp_path / "results" / name, random.Random(0), 0
    content, before = path.read_bytes(), read()
    for _ in range(200):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            assert read() == before
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 50


KEYS = ("schema", "winninghand", "title", "data", "evaluation", "runs")

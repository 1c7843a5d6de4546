"""`winninghand report`: a page, CSV files and LaTeX tables of a study, or one line."""

import shutil
from pathlib import Path

import pytest

from winninghand.base.files import read_sealed, write_sealed
from winninghand.results import Results

SHIPPED = Path(__file__).parents[2] / "studies/conv4/results"


@pytest.fixture
def study(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "study/results")
    return tmp_path / "study"


def test_page_csv_and_latex_are_written(run, study, tmp_path):
    code, out, err = run("report", study, "--csv", tmp_path / "csv", "--latex", tmp_path / "tex")
    assert (code, out) == (0, "")
    assert str(study / "report.html") in err.replace("\n", "")
    assert (study / "report.html").stat().st_size < 3e6
    names = {path.stem for path in (tmp_path / "csv").iterdir()}
    assert {"accuracy", "corruptions", "size", "calibration", "decks", "claims", "runs"} <= names
    assert {path.stem for path in (tmp_path / "tex").iterdir()} == names | {"report"}
    code, _, _ = run(
        "report", study / "results", "--out", tmp_path / "page.html", "--markdown", tmp_path / "p.md"
    )
    assert code == 0
    run("report", study / "results")
    assert not list((study / "results").glob("*.html"))
    assert (tmp_path / "page.html").read_bytes() == (study / "report.html").read_bytes()
    lines = (tmp_path / "p.md").read_text().splitlines()
    results = Results(study)
    assert lines[0] == f"# {results.title}"
    assert sum(line.startswith("| C") for line in lines) == len(results.claims)
    deck = results.decks[0]
    assert any(deck.name in line and f"| {100 * deck.robust_accuracy:.2f} |" in line for line in lines)
    assert not any(name in "".join(lines) for name in ("## Evidence", "## All finished runs"))


def test_bad_input_is_one_line(check_refusal, study, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    check_refusal(
        tmp_path, ("report", tmp_path / "nowhere"), "no results of a study: there is no such folder; give"
    )
    check_refusal(tmp_path, ("report", tmp_path / "empty"), "no results of a study: there is no study.json")
    check_refusal(tmp_path, ("report", study, "--latex", tmp_path / "file"), "is a file; give a folder")
    check_refusal(tmp_path, ("report", study, "--csv", tmp_path / "file/x"), "cannot write")
    check_refusal(tmp_path, ("report", study, "--out", tmp_path / "file/report.html"), "cannot write")
    check_refusal(tmp_path, ("report", study, "--out", tmp_path / "page.txt"), "a page is written as .html")
    check_refusal(
        tmp_path, ("report", study, "--out", study / "results/cells.parquet"), "a page is written as .html"
    )
    check_refusal(tmp_path, ("report", study, "--markdown", study / "results/cells.parquet"), "is read here")
    (study / "claims.md").write_text("mine")
    check_refusal(tmp_path, ("report", study, "--markdown", study / "claims.md"), "table of the study's own")
    check_refusal(tmp_path, ("report", study, "--csv", study / "results"), "is read here")
    planned = read_sealed(study / "results/study.json")
    write_sealed({**planned, "schema": 99}, study / "results/study.json")
    check_refusal(tmp_path, ("report", study), "schema 99")


def test_a_study_without_a_finished_run_is_one_line(check_refusal, study, tmp_path):
    (study / "results/cells.parquet").unlink()
    check_refusal(tmp_path, ("report", study), "no run of the study")

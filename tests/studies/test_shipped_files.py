"""The recipes and studies that come with the library can be read, and what they say is what runs."""

from pathlib import Path

import pytest

from winninghand.recipe import load_recipe
from winninghand.report.study_tables import LOG_COLUMNS, log, markdown, table, write_claims
from winninghand.results import Results
from winninghand.studies import load_study, planned

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.toml"))


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda path: path.stem)
@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_a_recipe_can_be_read(path):
    assert load_recipe(path).training.epochs > 0


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_a_study_can_be_planned(path):
    study = load_study(path)
    plan = planned(study)
    names = [one.name for one in (*plan.runs, *plan.decks)]
    assert len(set(names)) == len(names) > 0
    assert len(plan.decks) >= len(study.decks)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROOT.glob("studies/*/results")))
def test_the_tables_of_a_study_come_from_its_results(name, tmp_path):
    folder = ROOT / "studies" / name
    results = Results(folder)
    assert results.title == load_study(ROOT / "studies" / f"{name}.toml").title
    assert (folder / "table.md").read_text() == table(results.title, results.finished, results.decks)
    runs = [run["run"] for run in results.study["runs"]]
    assert (folder / "log.md").read_text() == markdown(LOG_COLUMNS, log(runs, results.finished))
    write_claims(results.claims, tmp_path)
    assert (folder / "claims.md").read_text() == (tmp_path / "claims.md").read_text()

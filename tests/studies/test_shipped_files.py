"""The recipes and studies that come with the library can be read, and what they say is what runs."""

from pathlib import Path

import pytest

from winninghand.recipe import load_recipe
from winninghand.studies import load_study, run_specs

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
    specs = run_specs(study)
    assert len({spec.name for spec in specs}) == len(specs) > 0
    decks = study.zoo.decks if study.zoo is not None else ()
    for deck in decks:
        assert any(
            all(spec.choice.get(key) == value for key, value in deck.choice.items()) for spec in specs
        ), deck.name

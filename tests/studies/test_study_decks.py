"""Decks of a study: planned by seed and protocol, measured once, and part of results and claims."""

import shutil
from dataclasses import replace

import pytest

import winninghand as wh
from winninghand.base.deprecation import OldNameWarning
from winninghand.base.errors import InputError
from winninghand.report.study_page import Report
from winninghand.results import Results, ResultsWriter
from winninghand.studies import Study, planned, run_study
from winninghand.studies.deck_work import deck_path
from winninghand.studies.work import TrainAndMeasure

PAIR = [{"domain": "clean", "compression.method": "lrr"}, {"domain": "gaussian"}]
STUDY = {
    "title": "pairs",
    "recipe": {
        "network": {"name": "conv2", "width": 2, "input_size": 16},
        "compression": {"method": "lrr", "sparsity": 0.5, "fraction_per_round": 0.5},
        "training": {"epochs": 1, "batch_size": 32, "precision": "32-true"},
    },
    "sweeps": [
        {"domain": ["clean", "gaussian"], "seed": [0, 1], "compression.method": ["lrr"]},
        {"domain": "clean", "seed": 2},
    ],
    "decks": [{"name": "pair", "cards": PAIR, "settings": {"max_active": 1}}],
    "evaluation": {"corruptions": "contrast,gaussian_noise", "severities": [5]},
}
NAMES = ["pair-0", "pair-0-average", "pair-1", "pair-1-average"]


def planned_decks(**changes):
    return {deck.name: deck for deck in planned(Study.model_validate({**STUDY, **changes})).decks}


def test_there_is_a_deck_for_each_seed_that_has_all_cards_and_its_average():
    decks = planned_decks()
    assert list(decks) == NAMES  # seed 2 has no gaussian card
    for name, deck in decks.items():
        assert [spec.recipe.domain["name"] for spec in deck.cards] == ["clean", "gaussian"]
        assert {spec.recipe.seed for spec in deck.cards} == {int(name.split("-")[1])}
        assert deck.gate == ("average" if name.endswith("average") else "weighted")
    assert decks["pair-0"].choice == {"gate": "weighted", "max_active": 1}


def test_averages_that_are_asked_for_are_not_made_twice():
    own = [*STUDY["decks"], {"name": "mean", "cards": PAIR, "gate": "average"}]
    assert list(planned_decks(decks=own)) == ["pair-0", "pair-1", "mean-0", "mean-1"]


def test_a_deck_has_cards_of_one_protocol():
    recipe = {**STUDY["recipe"], "training": {**STUDY["recipe"]["training"], "epochs": 4}}
    without = [{"protocol": "equal_epochs", "domain": "gaussian"}]
    sweeps = [{**STUDY["sweeps"][0], "compression.method": ["lrr", "dense"]}]
    decks = planned_decks(
        recipe=recipe,
        protocol=["equal_schedule", "equal_epochs"],
        exclude=without,
        sweeps=sweeps,
        decks=[
            {**STUDY["decks"][0], "cards": [{**one, "compression.method": "lrr"} for one in PAIR]},
            {"name": "alone", "cards": [{"domain": "clean", "compression.method": "lrr"}], "gate": "average"},
            {"name": "dense", "cards": [{"compression.method": "dense"}], "gate": "average"},
        ],
    )
    assert [name for name in decks if not name.endswith("average")] == [
        *("pair-equal_schedule-0", "pair-equal_schedule-1"),
        *(f"alone-{protocol}-{seed}" for protocol in ("equal_epochs", "equal_schedule") for seed in (0, 1)),
        *("dense-0", "dense-1"),
    ]
    assert decks["dense-0"].protocol == ""
    assert decks["alone-equal_epochs-1"].protocol == "equal_epochs"


@pytest.mark.parametrize(
    ("deck", "said"),
    [
        ({"cards": [{"domains": "clean"}]}, "did you mean 'domain'"),
        ({"cards": [{"domain": "augmix"}]}, "gives .domain. the value .augmix., which it never has"),
        ({"cards": [{"domain": "gaussian"}, {"seed": 2}]}, "no seed has runs that fit each of 2 conditions"),
        ({"gate": "avarage"}, "did you mean 'average'"),
        ({"settings": {"most_active": 1}}, "most_active"),
        ({"seeds": "all"}, "seeds"),
        (
            {"domains": ["clean", "gaussian"]},
            "its network, conv2, has no norms in which the cards of one body",
        ),
    ],
)
def test_a_deck_that_cannot_be_is_refused_before_anything_is_trained(tiny_images, tmp_path, deck, said):
    table = {**STUDY, "decks": [{**STUDY["decks"][0], **deck}]}
    with pytest.raises(ValueError, match=said):
        list(run_study(Study.model_validate(table), tiny_images, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("decks", "said"),
    [(["pear"], "did you mean 'pair'"), (["pair"], "give 'pair' seeds = \"together\"")],
)
def test_the_zoo_names_decks_of_the_study(decks, said):
    with pytest.raises(ValueError, match=said):
        Study.model_validate({**STUDY, "zoo": {"data": "tiny", "decks": decks}})


def test_decks_of_a_zoo_as_version_0_1_took_them_are_decks_of_the_study():
    old = {"name": "both", "choice": {"domain": "clean"}, "gate": "average"}
    rest = {key: value for key, value in STUDY.items() if key != "decks"}
    with pytest.warns(OldNameWarning, match="decks"):
        study = Study.model_validate({**rest, "zoo": {"data": "tiny", "decks": [old]}})
    assert study.zoo.decks == ("both",)
    (deck,) = planned(study).decks
    assert (deck.name, len(deck.cards)) == ("both", 3)
    with pytest.raises(ValueError, match="decks\n  Input should be a valid list"):
        Study.model_validate({**rest, "decks": 3, "zoo": {"data": "tiny", "decks": [old]}})


def test_what_a_study_asks_of_a_deck_now_is_written_to_its_results(finished, tiny_images, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "study")
    (deck, *_) = Results(out).decks
    ResultsWriter(out).add(replace(deck, about=replace(deck.about, protocol="equal_schedule")))
    list(run_study(Study.model_validate(STUDY), tiny_images, out))
    assert next(one for one in Results(out).decks if one.name == deck.name).about.protocol is None


def test_where_nothing_is_finished_nothing_is_written(tiny_images, tmp_path):
    tmp_path.joinpath("notes").write_text("mine")
    assert list(run_study(Study.model_validate(STUDY), tiny_images, tmp_path, finished=True)) == []
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["notes"]


@pytest.fixture(scope="module")
def finished(tiny_images, tmp_path_factory):
    out = tmp_path_factory.mktemp("decks")
    before = Study.model_validate({**STUDY, "decks": []})
    cards = list(run_study(before, tiny_images, out))
    return out, cards, list(run_study(Study.model_validate(STUDY), tiny_images, out))


def test_a_finished_study_gets_decks_and_trains_nothing(finished, tiny_images, monkeypatch):
    out, cards, runs = finished
    assert [run.name for run in runs] == [*(run.name for run in cards), *NAMES]
    results = Results(out)
    assert [deck.name for deck in results.decks] == NAMES
    assert len(results.finished) == len(cards)
    for deck in results.decks:
        player = wh.load(deck_path(out, deck.name))
        assert deck.about.bytes == deck_path(out, deck.name).stat().st_size
        table = wh.evaluate(player, tiny_images.test, "contrast,gaussian_noise", [5])
        assert [cell.accuracy for cell in deck.cells] == [cell.accuracy for cell in table.cells]
        assert deck.mean_passes == (2 if deck.about.gate == "average" else 1)
        for cell, again in zip((deck.clean, *deck.cells), (table.clean, *table.cells), strict=True):
            outcome = again if again is table.clean else again.outcome
            assert cell.weights == outcome.mean_weights
            assert sum(cell.weights) == pytest.approx(1)
        assert [card.metadata.recipe["seed"] for card in player.cards] == [int(deck.name[5])] * 2
    monkeypatch.setattr(TrainAndMeasure, "__call__", None)
    again = list(run_study(Study.model_validate(STUDY), tiny_images, out))
    assert [run.about for run in again] == [run.about for run in runs]


def test_the_norms_of_one_body_are_training_which_a_finished_study_has_none_of(tiny_images, tmp_path):
    recipe = {**STUDY["recipe"], "network": {"name": "resnet18", "width": 2}}
    body = {"name": "body", "domains": ["clean", "gaussian"], "seeds": "together"}
    table = {**STUDY, "recipe": recipe, "sweeps": [{"compression.method": "dense"}], "decks": []}
    (card,) = run_study(Study.model_validate(table), tiny_images, tmp_path)
    study = Study.model_validate({**table, "decks": [body]})
    assert [run.name for run in run_study(study, tiny_images, tmp_path, finished=True)] == [card.name]
    assert [run.name for run in run_study(study, tiny_images, tmp_path)] == [card.name, "body"]
    assert [run.name for run in run_study(study, tiny_images, tmp_path, finished=True)] == [card.name, "body"]


def test_the_report_shows_who_plays_when(finished):
    results = Results(finished[0])
    (figure,) = [one for one in Report.of(results).figures if one.name == "choices"]
    assert [(row["deck"], row["card"]) for row in figure.rows] == [
        (deck, card) for deck in ("pair-0", "pair-1") for card in ("1. clean", "2. gaussian")
    ]
    deck = next(one for one in results.decks if one.name == "pair-1")
    (noise,) = [cell for cell in deck.cells if cell.corruption == "gaussian_noise"]
    shown = [column.title for column in figure.columns]
    key = figure.columns[shown.index("gaussian noise")].keys[0]
    assert [row[key] for row in figure.rows[2:]] == list(noise.weights)


def test_claims_judge_the_decks(finished):
    claims = {claim["name"]: claim for claim in Results(finished[0]).claims}
    passes = [one for one in claims["C4"]["evidence"] if one["comparison"].startswith("passes")]
    assert [(one["effect"], one["verdict"], one["seeds"]) for one in passes] == [(0.5, "holds", 2)]
    assert claims["C4"]["missing"] == []


def test_a_deck_under_other_settings_is_measured_again(finished, tiny_images, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    changed = {**STUDY, "decks": [{**STUDY["decks"][0], "settings": {"max_active": 2}}]}
    said = []
    list(run_study(Study.model_validate(changed), tiny_images, out, said.append))
    assert [line.partition(" pair")[2] for line in said if line.startswith("deck")] == [
        *("-0-average: done already", "-1-average: done already", "-0", "-1")
    ]
    assert {deck.about.choice.get("max_active") for deck in Results(out).decks} == {2, None}
    other = {**STUDY, "decks": [{**STUDY["decks"][0], "name": "other"}]}
    list(run_study(Study.model_validate(other), tiny_images, out))
    for name in ("decks", "choices"):  # decks that are not asked for any more are not shown
        (figure,) = [one for one in Report.of(Results(out)).figures if one.name == name]
        assert {row["deck"].partition("-")[0] for row in figure.rows} == {"other"}
        assert {row["seed"] for row in figure.rows} == {"0", "1"}


def test_a_deck_whose_card_failed_is_told_and_made_later(tiny_images, tmp_path, monkeypatch):
    right = TrainAndMeasure.__call__

    def call(self, task):
        if task.name.startswith("lrr-gaussian-1"):
            raise InputError("no")
        return right(self, task)

    monkeypatch.setattr(TrainAndMeasure, "__call__", call)
    study, said = Study.model_validate(STUDY), []
    with pytest.raises(InputError, match="1 of 5 runs and 4 decks failed"):
        list(run_study(study, tiny_images, tmp_path, said.append))
    assert sum("which it plays, did not end well" in line for line in said) == 2
    results = Results(tmp_path)
    assert [deck.name for deck in results.decks] == NAMES[:2]
    assert {row["run"] for row in results.failed} >= set(NAMES[2:])
    assert [row["kind"] for row in results.runs if row["run"] in NAMES[2:]] == ["deck", "deck"]
    monkeypatch.setattr(TrainAndMeasure, "__call__", right)
    list(run_study(study, tiny_images, tmp_path))
    assert [deck.name for deck in Results(tmp_path).decks] == NAMES
    assert not Results(tmp_path).failed


def test_finished_runs_are_told_by_the_whole_recipe_of_today(finished, tiny_images, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "out")
    run = Results(out).finished[0]
    older = {**run.about.recipe, "training": {**run.about.recipe["training"]}}
    del older["training"]["workers"]
    ResultsWriter(out).add(replace(run, about=replace(run.about, recipe=older)))
    assert "workers" not in Results(out).finished[0].about.recipe["training"]
    again = list(run_study(Study.model_validate(STUDY), tiny_images, out))
    assert again[0].about == Results(out).finished[0].about == run.about

import json
import shutil
from pathlib import Path

import pytest
import torch

import winninghand as wh
from winninghand.base.errors import InputError
from winninghand.report.zoo import write_zoo, zoo_rows, zoo_title
from winninghand.results import OverSeeds, Results, zoo_records
from winninghand.studies import Publisher, Study, run_study
from winninghand.studies.work import card_of
from winninghand.zoo import MODELS, ZOO

STUDY = {
    "title": "a small zoo",
    "recipe": {
        "network": {"name": "conv2", "width": 2, "input_size": 16},
        "training": {"epochs": 1, "batch_size": 32, "precision": "32-true"},
        "quantization": {"weights": "fp16", "images": 0},
    },
    "sweeps": [
        {"compression.method": "dense", "seed": [0, 1]},
        {"compression.method": "lrr", "compression.milestones": [[0.5]], "seed": [0, 1]},
    ],
    "evaluation": {"corruptions": "contrast,gaussian_noise", "severities": [1, 5]},
    "decks": [
        {"name": "both", "cards": [{"compression.method": "lrr"}], "seeds": "together", "gate": "average"}
    ],
    "zoo": {"data": "tiny images", "reference": 20, "decks": ["both"]},
}


@pytest.fixture(scope="module")
def published(tiny_images, tmp_path_factory):
    out = tmp_path_factory.mktemp("zoo")
    study = Study.model_validate(STUDY)
    runs = list(run_study(study, tiny_images, out / "runs"))
    published = Publisher(study, tiny_images, out, out / "runs").publish(runs)
    return out, [run for run in runs if run.about.kind == "card"], published


def test_a_study_is_published_with_figures_that_can_be_had_again(published, tiny_images):
    out, _, metadata = published
    assert {model.name: model.kind for model in metadata} == {
        "tiny-dense-clean": "card",
        "tiny-lrr90-clean": "card",
        "both": "deck",
    }
    assert sorted(zoo_records(out), key=lambda one: one.name) == sorted(metadata, key=lambda one: one.name)
    for model in metadata:
        path = out / f"{model.name}.{model.kind}"
        assert model.bytes == path.stat().st_size
        table = wh.evaluate(wh.load(path), tiny_images.test, "contrast,gaussian_noise", (1, 5), limit=20)
        assert table.clean_accuracy == model.reference.clean_accuracy
        assert [cell["accuracy"] for cell in model.reference.cells] == pytest.approx(
            [cell.accuracy for cell in table.cells], abs=1e-5
        )
        assert model.full.images == len(tiny_images.test)
    assert metadata[0].full.mce == 1


def test_what_was_measured_is_not_measured_again(published, tiny_images, tmp_path, monkeypatch):
    out, runs, metadata = published
    monkeypatch.setattr("winninghand.evaluation.Measurement.cells", None)
    again = Publisher(Study.model_validate(STUDY), tiny_images, tmp_path, out / "runs").publish(runs)
    assert [model.full for model in again] == [model.full for model in metadata]
    assert [model.reference for model in again] == [model.reference for model in metadata]


def test_all_images_are_measured_in_bf16_where_that_pays(published, tiny_images, tmp_path, monkeypatch):
    out, runs, metadata = published
    monkeypatch.setattr("winninghand.studies.publish.bf16_pays", lambda device: True)
    shutil.copytree(out / "runs", tmp_path / "runs")
    publisher = Publisher(Study.model_validate(STUDY), tiny_images, tmp_path, tmp_path / "runs")
    model = publisher.publish(runs)[1]
    assert (model.full.precision, model.reference.precision) == ("bf16-mixed", "32-true")
    assert model.reference == metadata[1].reference
    card = wh.load(tmp_path / f"{model.name}.card")
    with torch.autocast("cpu", torch.bfloat16):
        table = wh.evaluate(card, tiny_images.test, "contrast,gaussian_noise", (1, 5))
    whole = wh.evaluate(card, tiny_images.test, "contrast,gaussian_noise", (1, 5))
    measured = next(
        run
        for run in Results(tmp_path / "runs").measured
        if (run.name, run.about.measured_on) == (model.name, "all")
    )
    assert [cell.accuracy for cell in measured.cells] == [cell.accuracy for cell in table.cells]
    errors = [one.cells[0].outcome.expected_calibration_error for one in (table, whole)]
    assert measured.cells[0].expected_calibration_error == pytest.approx(errors[0], abs=1e-6)
    assert errors[0] != errors[1]


def test_cards_may_be_left_out_and_still_be_played_by_a_deck(published, tiny_images, tmp_path):
    out, runs, _ = published
    zoo = {**STUDY["zoo"], "leave_out": [{"compression.method": "lrr"}]}
    publisher = Publisher(Study.model_validate({**STUDY, "zoo": zoo}), tiny_images, tmp_path, out / "runs")
    assert [model.name for model in publisher.publish(runs)] == ["tiny-dense-clean", "both"]


def test_the_seed_that_did_best_on_validation_images_is_shipped(published):
    out, runs, _ = published
    cards = [wh.load(card_of(out / "runs", run)) for run in runs if run.about.method == "lrr"]
    best = max(cards, key=lambda card: card.metadata.accuracies["validation"])
    assert wh.load(out / "tiny-lrr90-clean.card").metadata.recipe == best.metadata.recipe


def test_a_deck_of_one_body_is_made_of_the_best_card_of_its_choice(tiny_images, tmp_path):
    plan = {
        "name": "hand",
        "cards": [{"seed": 1}],
        "seeds": "together",
        "domains": ["clean", "gaussian"],
        "settings": {"max_active": 1},
    }
    recipe = {**STUDY["recipe"], "network": {"name": "resnet18", "width": 2}}
    study = Study.model_validate(
        {
            **STUDY,
            "recipe": recipe,
            "sweeps": [{"compression.method": "dense", "seed": [0, 1]}],
            "evaluation": {"corruptions": "contrast", "severities": [5]},
            "decks": [plan],
            "zoo": {**STUDY["zoo"], "decks": ["hand"]},
        }
    )
    runs = list(run_study(study, tiny_images, tmp_path / "runs"))
    record = Publisher(study, tiny_images, tmp_path, tmp_path / "runs").publish(runs)[-1]
    deck, card = wh.load(tmp_path / "hand.deck"), wh.load(card_of(tmp_path / "runs", runs[1]))
    assert [one.metadata.domain["name"] for one in deck.cards] == ["clean", "gaussian"]
    assert all(torch.equal(one.network.fc.weight, card.network.fc.weight) for one in deck.cards)
    assert (record.kind, record.gate, record.full.mean_passes, len(record.recipes)) == (
        "deck",
        "weighted",
        1,
        1,
    )


def test_the_table_goes_between_its_marks(published, tmp_path):
    metadata = published[2]
    (tmp_path / "a.md").write_text("before\n<!-- zoo -->\nold\n<!-- end of zoo -->\nafter\n")
    write_zoo(metadata, tmp_path / "a.md")
    text = (tmp_path / "a.md").read_text()
    assert text.startswith("before\n<!-- zoo -->\ntiny images, ") and text.endswith(
        "<!-- end of zoo -->\nafter\n"
    )
    assert "old" not in text
    assert all(" | ".join(row) in text for row in zoo_rows(metadata))
    assert zoo_rows(metadata)[0][6:9] == ["", f"{metadata[0].milliseconds:.2f}", ""]
    timed = metadata[0].model_copy(update={"times": {"sparse": 0.123, "onnxruntime": 4.0}})
    assert zoo_rows([timed])[0][6:9] == ["0.12", f"{timed.milliseconds:.2f}", "4.00"]
    alone = metadata[0].model_copy(
        update={"over_seeds": OverSeeds(images=7, seeds=(0,), clean_accuracy=(1.0,), robust_accuracy=(1.0,))}
    )
    assert zoo_title([*metadata, alone]) == zoo_title(metadata)  # one seed has no spread to show
    (tmp_path / "b.md").write_text("no marks")
    with pytest.raises(InputError, match="no place"):
        write_zoo(metadata, tmp_path / "b.md")


def test_a_newcomer_sees_few_models_each_by_what_runs_it_best(tmp_path):
    (tmp_path / "a.md").write_text("<!-- zoo in short -->\n<!-- end of zoo in short -->\n")
    write_zoo(zoo_records(), tmp_path / "a.md")
    text, known = (tmp_path / "a.md").read_text(), {model.name: model for model in zoo_records()}
    assert text.count("| `cifar10-") == 4
    for name, milliseconds in (
        ("cifar10-dense-clean", known["cifar10-dense-clean"].milliseconds),
        ("cifar10-lrr95-hand", known["cifar10-lrr95-hand"].times["sparse"]),
    ):
        (row,) = [line for line in text.splitlines() if f"`{name}`" in line]
        assert row.endswith(f"| {known[name].bytes:,} | {milliseconds:.2f} |")
        assert f" | {100 * known[name].full.robust_accuracy:.1f} | " in row


@pytest.mark.parametrize("document", ["README.md", "docs/studies.md"])
def test_the_documents_show_the_zoo_that_is_shipped(document, tmp_path):
    text = (Path(__file__).parents[2] / document).read_text(encoding="utf-8")
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    write_zoo(zoo_records(), tmp_path / "a.md")
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == text


def test_a_study_without_a_dense_network_or_a_plan_is_not_published(published, tiny_images, tmp_path):
    out, runs, _ = published
    plain = Study.model_validate({key: value for key, value in STUDY.items() if key != "zoo"})
    with pytest.raises(InputError, match=r"\[zoo\]"):
        Publisher(plain, tiny_images, tmp_path, out / "runs").publish(runs)
    sparse = [run for run in runs if run.about.method != "dense"]
    with pytest.raises(InputError, match="dense"):
        Publisher(Study.model_validate(STUDY), tiny_images, tmp_path, out / "runs").publish(sparse)


def test_the_shipped_zoo_is_whole_and_small():
    metadata = {model.name: model for model in zoo_records()}
    assert metadata.keys() == set(ZOO) == set(wh.names("zoo"))
    assert sum(path.stat().st_size for path in MODELS.iterdir()) < 8_000_000
    for name, model in metadata.items():
        assert ZOO[name].stat().st_size == model.bytes
        player = wh.load(f"zoo:{name}")
        assert len(player.classes) == 10
        assert len(model.full.cells) == len(model.reference.cells) == 75
        assert json.loads(ZOO[name].with_suffix(".json").read_text())["name"] == name


def test_an_unknown_model_of_the_zoo_is_refused():
    with pytest.raises(InputError, match="zoo model"):
        wh.load("zoo:nothing")

import sys
import tomllib

import pytest
from pydantic import ValidationError

from winninghand.base.errors import InputError
from winninghand.base.files import checked_name
from winninghand.decks import load
from winninghand.images import ImageSet
from winninghand.report.study_tables import log, markdown, summary
from winninghand.studies import Study, load_study, planned, run_specs, run_study
from winninghand.studies.work import card_of
from winninghand.training import train

STUDY = {
    "title": "two domains",
    "recipe": {
        "network": {"name": "conv2", "width": 2, "input_size": 16},
        "compression": {"method": "dense"},
        "training": {"epochs": 1, "batch_size": 32, "precision": "32-true"},
    },
    "sweeps": [{"domain": ["clean", "gaussian"], "seed": [0, 1]}, {"domain": "clean", "seed": 0}],
    "evaluation": {"corruptions": "contrast,gaussian_noise", "severities": [1, 5]},
}


def test_lists_are_multiplied_out_in_order_and_each_run_comes_once():
    runs = run_specs(Study.model_validate(STUDY))
    assert [(run.recipe.domain["name"], run.recipe.seed) for run in runs] == [
        ("clean", 0),
        ("clean", 1),
        ("gaussian", 0),
        ("gaussian", 1),
    ]
    assert len({run.name for run in runs}) == 4


def test_a_name_depends_on_what_differs_from_the_defaults_only():
    plain = {**STUDY, "sweeps": [{"seed": 0}]}
    spelled_out = {**STUDY, "sweeps": [{"seed": 0, "training.momentum": 0.9}]}
    changed = {**STUDY, "sweeps": [{"seed": 0, "training.momentum": 0.8}]}
    names = [run_specs(Study.model_validate(table))[0].name for table in (plain, spelled_out, changed)]
    assert names[0] == names[1] != names[2]


def test_a_study_is_worked_through_once_and_summed_up_over_seeds(tiny_images, tmp_path):
    study = Study.model_validate(STUDY)
    first = list(run_study(study, tiny_images, tmp_path))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = list(run_study(study, tiny_images, tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == written
    assert [run.rows() for run in again] == [run.rows() for run in first]
    assert {(cell.corruption, cell.severity) for cell in first[0].cells} == {
        (name, severity) for name in ("contrast", "gaussian_noise") for severity in (1, 5)
    }

    columns, rows = summary(first)
    assert columns == ["domain", "seeds", "clean", "robust", "digital", "noise", "no overlap", "bytes"]
    assert [row[:2] for row in rows] == [["clean", "2"], ["gaussian", "2"]]
    clean = [run.clean_accuracy for run in first[:2]]
    assert rows[0][2].startswith(f"{100 * sum(clean) / 2:.2f} ± ")
    assert rows[0][4] == rows[0][6]  # without noise only the digital family is left
    assert markdown(columns, rows).count("\n") == 4


def test_columns_are_named_as_shortly_as_tells_them_apart(tiny_images, tmp_path):
    sweeps = [{"training.momentum": 0.8, "network": {"name": "conv2", "width": 2, "input_size": 16}}]
    sweeps += [{"domain.name": "clean", "network.name": "conv2"}]
    study = Study.model_validate({**STUDY, "sweeps": sweeps})
    columns, _ = summary(list(run_study(study, tiny_images, tmp_path)))
    assert columns[:4] == ["momentum", "network", "domain.name", "network.name"]


def test_a_card_can_be_deleted_once_it_is_measured(tiny_images, tmp_path):
    study = Study.model_validate({**STUDY, "sweeps": [{}]})
    (run,) = run_study(study, tiny_images, tmp_path)
    table, card = summary([run]), card_of(tmp_path, run)
    assert run.about.bytes == card.stat().st_size
    card.unlink()
    (again,) = run_study(study, tiny_images, tmp_path)
    assert summary([again]) == table
    assert not card.exists()
    other = Study.model_validate({**STUDY, "sweeps": [{}], "evaluation": {"corruptions": "fog"}})
    with pytest.raises(InputError, match="is needed to measure it again"):
        list(run_study(other, tiny_images, tmp_path))


def test_only_what_is_finished_is_taken_where_that_is_asked_for(tiny_images, tmp_path):
    study = Study.model_validate(STUDY)
    assert not list(run_study(study, tiny_images, tmp_path, finished=True))
    train(run_specs(study)[2].recipe, tiny_images, tmp_path / run_specs(study)[2].name)
    (run,) = run_study(study, tiny_images, tmp_path, finished=True)
    assert run.name == run_specs(study)[2].name


def test_runs_that_share_their_first_phases_are_trained_once(tiny_images, tmp_path):
    passing = {"method": "lth", "milestones": [0.5, 0.8], "rewind_epoch": 0.5}
    sweeps = [{"compression.sparsity": [0.9, 0.5, 0.8]}]
    table = {**STUDY, "recipe": {**STUDY["recipe"], "compression": passing}, "sweeps": sweeps}
    runs = run_specs(Study.model_validate(table))
    assert [run.recipe.compression.sparsity for run in runs] == [0.5, 0.8, 0.9]
    names = [
        None if task.parent is None else task.parent.name
        for task in planned(Study.model_validate(table)).tasks
    ]
    assert names == [None, runs[0].name, runs[1].name]
    together = list(run_study(Study.model_validate(table), tiny_images, tmp_path))
    epochs = [(tmp_path / run.name / "metrics.csv").read_text().count("\n") - 1 for run in together]
    assert epochs == [2, 3, 4]  # those of the runs before it included
    rows = log([run.name for run in runs], together[:2])
    assert [row[1] for row in rows] == [run.name for run in runs]
    assert [row[2:4] for row in rows] == [["", "2"], [runs[0].name, "1"], ["", ""]]
    alone = train(runs[2].recipe, tiny_images, tmp_path / "alone")
    assert (tmp_path / "alone" / "card.card").read_bytes() == card_of(tmp_path, together[2]).read_bytes()
    assert alone.metadata == load(card_of(tmp_path, together[2])).metadata


def test_methods_share_their_dense_phase_bit_for_bit(tiny_images, tmp_path):
    sweep = {"compression.method": ["dense", "lrr", "lth", "ft", "gmp"], "compression.sparsity": 0.5}
    recipe = {**STUDY["recipe"], "compression": {"fraction_per_round": 0.5}}
    study = Study.model_validate({**STUDY, "recipe": recipe, "sweeps": [sweep]})
    plan = planned(study)
    assert [task.measured for task in plan.tasks] == [False] + [True] * 5
    runs = list(run_study(study, tiny_images, tmp_path))
    assert [run.about.epochs for run in runs] == [0, 1, 1, 1, 1]
    for spec, run in zip(plan.runs, runs, strict=True):
        train(spec.recipe, tiny_images, tmp_path / "alone" / spec.name)
        alone = (tmp_path / "alone" / spec.name / "card.card").read_bytes()
        assert alone == card_of(tmp_path, run).read_bytes(), spec.name


def test_a_study_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "study.toml").write_text('title = "a"', encoding="utf-8-sig")
    assert load_study(tmp_path / "study.toml").title == "a"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("titel = 3", "titel"),
        ("title = 3", "title"),
        ('title = "a"\nsweeps = []', "sweeps"),
        ("=", "study"),
        ('title = "a"\nevaluation.corruptions = 3', "evaluation.*not 3"),
        ('title = "a"\nevaluation.corruptions = ["fog", {}]', "evaluation.*a list of names"),
        ('title = "a"\nevaluation.archive = 3', "archive must be"),
        ('title = "a"\nevaluation.archive = ["c"]', "archive must be"),
        ('title = "a"\nevaluation.severities = [{}]', "severit"),
    ],
)
def test_a_bad_study_is_refused(tmp_path, text, named):
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(InputError, match=named):
        load_study(tmp_path / "study.toml")


EVIL = ["../../../evil", "a/b", "/etc/evil", "..", ".hidden", "", "a\\b", "nul\0", "é", "line\n", "x" * 101]


@pytest.mark.parametrize("name", EVIL)
def test_a_deck_s_name_cannot_be_a_path(name):
    with pytest.raises(InputError, match="cannot be a file's name"):
        checked_name(name)
    with pytest.raises(ValidationError, match="cannot be a file's name"):
        Study.model_validate({"title": "a", "decks": [{"name": name}]})


@pytest.mark.parametrize(
    ("table", "named"),
    [
        (
            {"sweeps": [{"seed": list(range(1000)), "training.epochs": list(range(1, 102))}]},
            "101,000 choices",
        ),
        ({"sweeps": [{f"domain.k{k}": [0] * 10 for k in range(8)}]}, "100,000,000 choices.*only with --yes"),
        ({"sweeps": [{"seed": [0] * 10}] * 10_001}, "100,010 choices"),
        ({"sweeps": [{f"domain.k{k}": [0] * 10 for k in range(400)}]}, "billions of choices"),
        ({"sweeps": [{"seed": [0, 1], "exclude": [{"seed": [0, 1]}]}]}, "the study has no runs"),
    ],
)
def test_a_study_is_counted_before_it_is_multiplied_out(table, named):
    with pytest.raises(InputError, match=named):
        run_specs(Study.model_validate({"title": "a", **table}))


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"sweeps": [{"seed": []}]}, "'seed' has no value"),
        ({"protocol": []}, "protocol has no value"),
        ({"decks": [{"name": "a"}, {"name": "A"}]}, "2 decks have the name 'a'"),
    ],
)
def test_an_empty_list_and_a_name_given_twice_are_refused(table, named):
    with pytest.raises(ValidationError, match=named):
        Study.model_validate({"title": "a", **table})


def test_a_choice_that_a_method_ignores_is_not_shown(tiny_images, tmp_path):
    sweep = {
        "compression.method": ["dense", "gmp", "lrr"],
        "compression.sparsity": 0.5,
        "compression.fraction_per_round": [0.3, 0.6],
        "quantization.images": 4,
    }
    study = Study.model_validate({**STUDY, "sweeps": [sweep]})
    columns, rows = summary(list(run_study(study, tiny_images, tmp_path)))
    assert columns[:4] == ["method", "sparsity", "fraction_per_round", "seeds"]
    assert [row[:3] for row in rows] == [
        ["dense", "", ""],
        ["gmp", "0.5", ""],
        ["lrr", "0.5", "0.3"],
        ["lrr", "0.5", "0.6"],
    ]


def test_a_bad_recipe_anywhere_is_refused_before_anything_runs():
    with pytest.raises(InputError, match="sigma"):
        sweeps = [{"seed": 0}, {"domain.name": "gaussian", "domain.sigma": 2}]
        run_specs(Study.model_validate({**STUDY, "sweeps": sweeps}))


def test_a_dotted_key_without_quotes_is_told_of():
    sweeps = tomllib.loads('compression.method = ["lrr", "lth"]')
    with pytest.raises(InputError, match=r"""in quotes: "compression\.method" = \['lrr', 'lth'\]"""):
        run_specs(Study.model_validate({**STUDY, "sweeps": [sweeps]}))


def test_results_of_other_images_are_refused(tiny_images, tmp_path):
    study = Study.model_validate({**STUDY, "sweeps": [{}]})
    list(run_study(study, tiny_images, tmp_path))
    other = ImageSet(tiny_images.test, tiny_images.train, tiny_images.classes, tiny_images.name)
    with pytest.raises(InputError, match="of other images than tiny"):
        list(run_study(study, other, tmp_path))


def test_what_results_need_is_missed_before_anything_is_trained(tiny_images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"pip install 'winninghand\[parquet\]'"):
        list(run_study(Study.model_validate(STUDY), tiny_images, tmp_path))
    assert not list(tmp_path.iterdir())

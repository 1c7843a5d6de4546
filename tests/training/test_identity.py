"""A run's folder is named, refused and recognised by its whole recipe, whatever defaults become."""

import json
import re

import numpy as np
import pytest
import torch
from pydantic import Field, create_model

import winninghand as wh
from winninghand.base.toml import dotted
from winninghand.recipe import Recipe, Training, make_recipe
from winninghand.training import RunFolder, identity
from winninghand.training.identity import disagreement
from winninghand.training.identity import identity as identity_of

TINY = {
    "network": {"name": "conv2", "width": 2, "input_size": 16},
    "compression": {"method": "dense", "sparsity": 0.0},
    "training": {"epochs": 1, "batch_size": 16, "precision": "32-true"},
}
# What version 0.1 named the folder of a recipe and kept in its `run.json`, and the recipe in present words.
OF_0_1 = [
    ("lrr-clean-0-d905e156", {}, {}),
    (
        "lrr-augmix-0-e9cb9a1e",
        {"domain": {"name": "augmix"}, "compression": {"sparsity": 0.95}},
        {"compression": {"sparsity": 0.95}, "domain": "augmix"},
    ),
    (
        "lrr-clean-3-e544d1ae",
        {
            "seed": 3,
            "compression": {"pass_through": [0.5, 0.7], "round_rate": 0.5, "refresh_steps": 20},
            "training": {"epochs": 7, "held_out": 0.2},
        },
        {
            "seed": 3,
            "compression": {"milestones": [0.5, 0.7], "rewind_lr_factor": 0.5},
            "training": {"validation": 0.2, "epochs": 7},
        },
    ),
    (
        "gmp-gaussian-0-fd6c0560",
        {
            "network": {"name": "resnet18", "width": 16},
            "domain": {"name": "gaussian", "sigma": 0.2},
            "compression": {"method": "gmp", "sparsity": 0.5, "pattern": "2:4"},
            "quantization": {"weights": "int8"},
        },
        {
            "network": {"name": "resnet18", "width": 16},
            "compression": {"method": "gmp", "pattern": "2:4"},
            "domain": {"name": "gaussian", "sigma": 0.2},
            "quantization": {"weights": "int8"},
        },
    ),
]
RECIPES = [recipe for _, _, recipe in OF_0_1]


class OtherDefault(Training):
    weight_decay: float = Field(default=0.001, ge=0)


class NewKey(Training):
    clip: float = Field(default=0.0, ge=0)


@pytest.fixture
def change(monkeypatch):
    """Give the library a recipe with another `[training]` table, as a later version might have."""

    def changed(training):
        later = create_model("Later", __base__=Recipe, training=(training, training()))
        monkeypatch.setattr(identity, "Recipe", later)
        return later

    return changed


@pytest.mark.parametrize("table", RECIPES)
def test_a_new_key_with_a_default_renames_no_run(table, change):
    before = identity.run_name(make_recipe(table))
    later = change(NewKey)
    assert identity.run_name(later.model_validate(table)) == before
    other = {**table, "training": {**table.get("training", {}), "clip": 1.0}}
    assert identity.run_name(later.model_validate(other)) != before


def test_a_changed_default_gives_new_runs_new_names(change):
    old = identity.run_name(make_recipe({}))
    later = change(OtherDefault)
    assert identity.run_name(later.model_validate({})) != old
    assert identity.run_name(later.model_validate({"training": {"weight_decay": 5e-4}})) == old


def test_a_changed_default_neither_disowns_nor_answers_an_old_run(tiny_images, tmp_path, change):
    card = wh.train(TINY, tiny_images, tmp_path)
    later = change(OtherDefault)
    with pytest.raises(wh.InputError, match=r"training.weight_decay is 0.0005 there and 0.001 here"):
        wh.train(later.model_validate(TINY), tiny_images, tmp_path)
    asked = {**TINY, "training": {**TINY["training"], "weight_decay": 5e-4}}
    again = wh.train(later.model_validate(asked), tiny_images, tmp_path)
    assert all(map(torch.equal, card.state_dict().values(), again.state_dict().values()))


def test_every_default_is_frozen():
    """A new key, network or domain is added to `defaults.json`; a changed default is not."""
    frozen = identity._frozen()
    for kind, key in identity._KINDS.items():
        for name in wh.names(f"{kind}s" if kind != "compression" else "methods"):
            table = identity.whole(make_recipe({kind: {key: name}}))
            assert set(table[kind]) - {key} == set(frozen[kind][name])
    table = identity.whole(make_recipe({}))
    for kind, key in identity._KINDS.items():
        table[kind] = {key: table[kind][key]}
    assert set(dotted(table)) == set(frozen["recipe"])


def test_folders_of_version_0_1_are_found(tmp_path):
    for name, about, _ in OF_0_1:
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({"recipe": about, "images": "0123"}))
    (tmp_path / "lrr-clean-0-00000000").mkdir()
    (tmp_path / "lrr-clean-0-00000000/run.json").write_text("damaged")
    for name, _, table in OF_0_1:
        assert identity.run_path(tmp_path, make_recipe(table)).name == name
    other = make_recipe({"seed": 3})
    assert identity.run_path(tmp_path, other).name == identity.run_name(other)


def test_names_do_not_depend_on_how_defaults_are_written():
    assert identity.run_name(make_recipe({"domain": "gaussian"})) == identity.run_name(
        make_recipe({"domain": {"name": "gaussian", "sigma": 0.1}, "network": "resnet18"})
    )


def test_one_pixel_makes_another_run(tiny_images, tmp_path):
    wh.train(TINY, tiny_images, tmp_path)
    pixels = tiny_images.train.images.copy()
    pixels[77, 3, 3, 0] ^= 1
    other = wh.ImageSet.from_arrays(
        (pixels, tiny_images.train.labels),
        (tiny_images.test.images, tiny_images.test.labels),
        tiny_images.classes,
    )
    with pytest.raises(wh.InputError, match=r"begun on other images, .* give another folder") as told:
        wh.train(TINY, other, tmp_path)
    assert not re.search(r"[0-9a-f]{16}", str(told.value).removeprefix(str(tmp_path)))


def test_other_weights_are_told_without_their_digest(tiny_images, tmp_path):
    for seed, said in ((1, None), (2, r"began with other weights; .* give another folder")):
        torch.manual_seed(seed)
        network = wh.network("conv2", width=2, classes=2, input_size=16)
        if said is None:
            wh.compress(network, tiny_images, "dense", 0.0, epochs=1, out=tmp_path)
            continue
        with pytest.raises(wh.InputError, match=said) as told:
            wh.compress(network, tiny_images, "dense", 0.0, epochs=1, out=tmp_path)
        assert not re.search(r"[0-9a-f]{16}", str(told.value).removeprefix(str(tmp_path)))


def test_a_run_keeps_its_whole_recipe_and_what_it_ran_on(tiny_images, tmp_path):
    wh.train(TINY, tiny_images, tmp_path)
    about = json.loads(RunFolder(tmp_path).about.read_text())
    assert about["schema"] == 1
    assert about["recipe"]["domain"] == {"name": "clean", "padding": 4, "flip": True}
    assert about["recipe"]["training"]["weight_decay"] == 5e-4
    [ran_on] = about["ran_on"]
    assert ran_on["precision"] == "32-true"
    assert ran_on["versions"]["numpy"] == np.__version__
    assert ran_on["versions"].keys() == {"winninghand", "torch", "numpy", "python"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"schema": 2, "recipe": {}}', "newer version"),
        ('{"recipe": {}, "ran_on": [3]}', "ran on"),
        ('{"recipe": {}, "ran_on": [{}]}', "ran on"),
    ],
)
def test_a_folder_that_does_not_say_what_it_is_is_refused(content, said, tiny_images, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(wh.InputError, match=said):
        wh.train(TINY, tiny_images, tmp_path)


@pytest.mark.parametrize("name", ["card.card", "checkpoint.pt"])
def test_a_run_that_nothing_tells_apart_is_not_answered(name, tiny_images, tmp_path):
    (tmp_path / name).touch()
    with pytest.raises(wh.InputError, match=r"holds a run, but no run\.json"):
        wh.train(TINY, tiny_images, tmp_path)


def test_processes_differ_in_what_is_named(tiny_images):
    one = identity_of(make_recipe(TINY), tiny_images)

    def apart(exclude=(), **training):
        other = make_recipe({**TINY, "training": {**TINY["training"], **training}})
        return disagreement(identity_of(other, tiny_images, exclude=exclude), one)

    assert apart() is None and apart(workers=3) is None
    assert apart(checkpoint_minutes=1) == "training.checkpoint_minutes is 1.0 there and 0.0 here"
    assert apart(exclude=["fc.weight"]) == 'exclude is ["fc.weight"] there and [] here'
    assert disagreement({**one, "origin": "other"}, one) == "its network is another"
    assert disagreement({**one, "data": "other"}, one) == "its images or labels are others"

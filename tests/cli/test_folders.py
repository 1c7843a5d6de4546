"""From a folder of photographs without a division to figures, on the command line."""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import pytest
import torch
from PIL import Image

import winninghand as wh
from winninghand.evaluation import accuracy, fourier_heatmap
from winninghand.networks.libraries import Preprocessing

RECIPE = """
compression = {method = "dense"}
training = {epochs = 1, batch_size = 8, precision = "32-true"}
[network]
name = "resnet20"
width = 4
[images]
transform = "pad"
split_seed = 3
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of bright and dark pictures of all sizes, one broken, and a recipe."""
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for level, name in ((0, "dark"), (127, "hell é")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = generator.integers(level, level + 128, (20 + number, 50 - number, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "photos" / "dark" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_card_remembers_how_its_images_were_prepared(run, place):
    train = ("train", "recipe.toml", "--data", "photos", "--size", 16, "--out", "run")
    code, _, err = run(*train)
    assert (code, err.count("\n")) == (2, 1)
    assert "broken.jpg cannot be read as an image" in err
    assert not (place / "run").exists()
    code, _, err = run(*train, "--skip-broken")
    assert code == 0, err
    assert "photos: 48 images to train and 12 to test of 16×16, 2 classes (dark 24 + 6, hell é 24 + 6)" in err
    assert "test images drawn: 0.2 of each class by seed 3; left out as broken: 1" in err
    kept = json.loads((place / "run" / "run.json").read_text())["recipe"]["images"]
    settings = {"transform": "pad", "skip_broken": True, "test_fraction": 0.2, "split_seed": 3}
    settings["stream"] = False
    assert kept == {"size": [16, 16], **settings}
    card = wh.load(place / "run" / "card.card")
    assert card.metadata.preparation.model_dump() == {"size": (16, 16), **settings}
    images = wh.load_images("photos", **card.metadata.preparation.model_dump())

    words = ("--corruptions", "contrast", "--severities", 1, "--json", "-")
    code, out, err = run(
        "evaluate", "run/card.card", "--data", "photos", *words, "--baseline", "run/card.card"
    )
    assert code == 0, err
    assert "clean_accuracy − run/card.card's: +0.00 points" in err  # each run calls its card so
    found = json.loads(out)
    assert found["test_digest"] == images.test.digest
    assert found["clean_accuracy"] == card.metadata.accuracies["test"]
    code, _, err = run("heatmap", "run/card.card", "--out", "map.svg", "--data", "photos", "--limit", 2)
    assert code == 0, err
    code, _, err = run("deck", "a.deck", "run/card.card", "run/card.card", "--data", "photos", "--limit", 20)
    assert code == 0, err
    code, _, err = run("profile", "run/card.card", "--data", "photos", "--out", "new.card")
    assert code == 0, err
    code, _, err = run("specialize", "run/card.card", "b.deck", "--domains", "clean,gaussian", "--epochs", 1,
                       "--data", "photos")  # fmt: skip
    assert code == 0, err
    for model in ("a.deck", "b.deck", "new.card"):
        code, out, err = run("evaluate", model, "--data", "photos", *words)
        assert code == 0, err
        assert "holds other images" not in err
        assert json.loads(out)["test_digest"] == images.test.digest

    Image.new("RGB", (30, 30)).save("photos/dark/new.png")
    code, _, err = run("evaluate", "run/card.card", "--data", "photos", *words)
    assert code == 0
    assert "photos holds other images than when run/card.card was trained, or is another folder" in err

    white = card.predict(Image.new("RGB", (64, 16), "white"))[0]
    padded = np.zeros((16, 16, 3), np.uint8)
    padded[6:10] = 255
    assert white == card.predict(padded)[0]


def test_a_run_that_goes_on_has_the_same_drawn_images(run, place):
    train = ("train", "recipe.toml", "--data", "photos", "--size", 16, "--skip-broken", "--out", "run")
    assert run(*train)[0] == 0
    card = (place / "run" / "card.card").read_bytes()
    (place / "run" / "card.card").unlink()
    shutil.rmtree(place / "cache")
    (place / "photos" / "dark" / "broken.jpg").unlink()
    (place / "photos" / "hell é" / "other.jpg").write_bytes(b"nothing")
    code, _, err = run(*train)
    assert code == 0, err
    assert (place / "run" / "card.card").read_bytes() == card


def test_images_of_several_sizes_get_that_of_a_librarys_network(run, place, monkeypatch):
    words = ("train", "recipe.toml", "--data", "photos", "--skip-broken", "--out", "run")
    code, _, err = run(*words)
    assert (code, "give one size for all, such as --size 64" in err) == (2, True)
    own = Preprocessing((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (20, 24))
    monkeypatch.setattr("winninghand.training.images.preprocessing_of", lambda network: own)
    code, _, err = run(*words)
    assert code == 0, err
    assert "images of several sizes are brought to 20×24, as resnet20 takes them" in err
    assert wh.load("run/card.card").metadata.preparation.size == (20, 24)
    assert json.loads((place / "run" / "run.json").read_text())["recipe"]["images"]["size"] == [20, 24]


def test_models_that_learned_from_other_parts_are_not_put_together(run, place):
    words = ("train", "recipe.toml", "--data", "photos", "--size", 16, "--skip-broken")
    for seed in (1, 2):
        code, _, err = run(*words, "--out", seed, "--set", f"images.split_seed={seed}")
        assert code == 0, err
    code, _, err = run("deck", "a.deck", "1/card.card", "2/card.card", "--data", "photos")
    assert code == 2
    assert "2/card.card learned from another part of photos" in err
    code, _, err = run("evaluate", "1/card.card", "--data", "photos", "--baseline", "2/card.card")
    assert (code, err.splitlines()[-1].count("learned from another part")) == (2, 1)


def test_a_path_stands_for_its_images_in_python(place):
    recipe = {**tomllib.loads(RECIPE), "images": {"size": 16, "transform": "pad", "skip_broken": True}}
    card = wh.train(recipe, "photos")
    images = wh.load_images("photos", **recipe["images"])
    same = wh.train(recipe, images)
    assert card.metadata.preparation.model_dump() == images.origin.preparation.model_dump()
    assert all(torch.equal(one, same.state_dict()[name]) for name, one in card.state_dict().items())
    for model in (card, card.network):
        if model is card:
            table = wh.evaluate(model, place / "photos", "contrast", [1])
            assert table.clean_accuracy == accuracy(model, "photos") == card.metadata.accuracies["test"]
        else:
            with pytest.raises(wh.InputError, match="the model is a module, which does not say how"):
                wh.evaluate(model, "photos")
    errors = [fourier_heatmap(card, one, limit=2).errors for one in ("photos", images.test)]
    assert np.array_equal(*errors)
    decks = [wh.specialize(card, one, ["clean"], epochs=1) for one in ("photos", images)]
    states = [deck.state_dict() for deck in decks]
    assert all(torch.equal(one, states[1][name]) for name, one in states[0].items())
    for use in (wh.evaluate, wh.specialize):
        with pytest.raises(wh.InputError, match="knows other classes than the images of digits"):
            use(card, "digits")
    with pytest.raises(wh.InputError, match=r"give one size for all.*broken\.jpg"):
        wh.compress(card.network, "photos")


def test_old_cards_see_whole_pictures_and_sets_of_one_size_are_brought_to_that_of_a_card(run, place):
    module = wh.network("resnet20", width=4, classes=10)
    wh.Card.from_module(module, [str(digit) for digit in range(10)], (16, 24)).save("old.card")
    code, out, err = run("evaluate", "old.card", "--limit", 20, "--corruptions", "contrast", "--json", "-")
    assert code == 0, err
    card = wh.load("old.card")
    assert card.metadata.preparation.transform == "squash"
    expected = wh.load_images("digits", size=(16, 24), transform="squash").test.digest
    assert json.loads(out)["test_digest"] == expected


def test_models_whose_pictures_are_cut_otherwise_are_told_apart(run, place):
    card = wh.Card.from_module(wh.network("resnet20", width=4), [str(digit) for digit in range(10)], (28, 28))
    card.save("plain.card")
    card.with_metadata(recipe={"images": {"transform": "resize32"}}).save("cut.card")
    words = ("--limit", 20, "--corruptions", "contrast", "--json", "-", "--baseline", "plain.card")
    code, out, err = run("evaluate", "cut.card", *words)
    assert code == 0, err
    assert "plain.card knows pictures brought to size by squash, and sees them by resize32" in err
    expected = wh.load_images("digits", size=28, transform="resize32").test.digest
    assert json.loads(out)["test_digest"] == expected


def test_a_recipe_and_images_that_were_loaded_otherwise_are_refused(place):
    recipe = wh.Recipe(images={"size": 16, "transform": "pad"})
    for settings, named in (
        ({"size": 8}, "images.size is 16×16 and the images are 8×8"),
        ({"size": 16}, "images.transform is 'pad' and the images were loaded with 'crop'"),
    ):
        images = wh.load_images("photos", skip_broken=True, **settings)
        with pytest.raises(wh.InputError, match=named):
            wh.train(recipe, images)


def test_a_strangers_card_with_another_preparation_is_refused(tmp_path):
    module = wh.network("conv2", width=2, classes=2, input_size=16)
    card = wh.Card.from_module(module, ["a", "b"], (16, 16))
    for images in ({"transform": "melt"}, {"size": 3}, {"split_seed": -1}, {"test_fraction": 7}, [1],
                   {"transform": "resize8"}):  # fmt: skip
        with pytest.raises(wh.InputError, match="images"):
            card.with_metadata(recipe={"images": images})
    later = card.with_metadata(recipe={"images": {"transform": "pad", "unheard_of": 1}})
    assert later.metadata.preparation.transform == "pad"


def test_photographs_are_streamed_from_their_files(run, place):
    train = ("train", "recipe.toml", "--data", "photos", "--size", 16, "--stream", "--out")
    code, _, err = run(*train, "run")
    assert code == 2 and "broken.jpg cannot be read as an image" in err.splitlines()[-1]
    (place / "photos" / "dark" / "broken.jpg").unlink()
    code, _, err = run(*train, "other")
    assert code == 0, err
    assert "seed 3" in err and "streamed from their files" in err
    code, _, err = run("evaluate", "other/card.card", "--data", "photos", "--corruptions", "fog")
    assert code == 0 and "streamed from their files" in err, err

"""`winninghand evaluate` and `winninghand heatmap`."""

import json
import sys
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import winninghand as wh
from winninghand.decks import fitting, with_bn_adaptation
from winninghand.evaluation import heatmap


@pytest.fixture
def place(tmp_path, tiny_images, monkeypatch):
    """A folder with images, and two cards that differ."""
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "cache"))
    parts = {
        f"{name}_{part}": getattr(split, part)
        for name, split in (("train", tiny_images.train), ("test", tiny_images.test))
        for part in ("images", "labels")
    }
    np.savez(tmp_path / "tiny.npz", classes=np.array(tiny_images.classes), **parts)
    for seed in (0, 1):
        torch.manual_seed(seed)
        module = wh.network("conv2", width=2, classes=2, input_size=16)
        wh.Card.from_module(module, tiny_images.classes, (16, 16)).save(tmp_path / f"{seed}.card")
    monkeypatch.chdir(tmp_path)
    return tmp_path


EVALUATE = ("evaluate", "0.card", "--data", "tiny.npz", "--corruptions", "fog,contrast", "--severities=1,5")


def few_of(name, folder):
    """Write a few images of the classes and the size of a model of the zoo, and return their path."""
    card = wh.load(f"zoo:{name}")
    labels = np.arange(len(card.classes))
    images = np.zeros((len(labels), *card.input_size, 3), np.uint8)
    parts = {
        f"{part}_{kind}": value
        for part in ("train", "test")
        for kind, value in (("images", images), ("labels", labels))
    }
    np.savez(folder / "few.npz", classes=np.array(card.classes), **parts)
    return folder / "few.npz"


def test_a_model_of_the_zoo_is_named_as_it_was_asked_for(run, place, monkeypatch):
    code, _, err = run("evaluate", "zoo:cifar10-bp95-clean", "--data", "tiny.npz")
    assert code == 2
    assert "winninghand: zoo:cifar10-bp95-clean knows other classes than the images of tiny" in err
    bars = []
    monkeypatch.setattr(
        "winninghand.cli.measuring.measured", lambda name, *_: bars.append(name) or sys.exit()
    )
    few = few_of("cifar10-bp95-clean", place)
    run("evaluate", "zoo:cifar10-bp95-clean", "--data", few)
    assert bars == ["zoo:cifar10-bp95-clean"]


def test_one_document_on_standard_output_and_tables_beside_it(run, place):
    code, out, err = run(*EVALUATE, "--json", "-", "--baseline", "1.card", "--cells", "cells.parquet")
    assert code == 0
    document = json.loads(out)
    assert document["mean_passes"] == 1
    assert document["archive"] is None
    keys = {"corruption", "severity", "accuracy", "source", "expected_calibration_error"}
    assert keys <= document["cells"][0].keys()
    digest = blake2b((place / "0.card").read_bytes(), digest_size=8).hexdigest()
    assert document["model_digest"] == digest
    assert document["test_digest"] == wh.load_images(place / "tiny.npz").test.digest
    about = {"model": "0.card", "data": "tiny.npz", "seed": 0}
    assert {key: document[key] for key in about} == about
    assert [about | cell for cell in document["cells"]] == pq.read_table("cells.parquet").to_pylist()[1:]
    assert document["winninghand"] == wh.__version__
    mean = np.mean([cell["accuracy"] for cell in document["cells"]])
    assert document["robust_accuracy"] == pytest.approx(mean)
    assert {"mce", "relative_mce", "corruption_errors", "differences"} <= document.keys()
    assert "generated" in err
    assert "mCE against 1.card" in err


def test_a_page_is_written_beside(run, place):
    words = ("--limit", 6, "--baseline", "1.card", "--html", "a.html")
    code, out, err = run(*EVALUATE, *words)
    assert (code, out, "written: a.html" in err) == (0, "", True)
    page = (place / "a.html").read_text()
    assert "tiny.npz, 6 images, seed 0; 2 corruptions" in page
    assert "Against 1.card" in page and "Who plays when" not in page
    assert page.count("data:image/png") == 2
    assert "--root FOLDER" not in page
    wh.Deck([wh.load("0.card"), wh.load("1.card")], "average").save("a.deck")
    assert run("evaluate", "a.deck", *EVALUATE[2:], "--limit", 4, "--html", "a.html", "--root", ".")[0] == 0
    page = (place / "a.html").read_text()
    assert "Who plays when" in page and "--data tiny.npz --root FOLDER" in page
    assert "winninghand deck b.deck CARD CARD … --max-active 3" in page
    code, _, err = run(*EVALUATE, "--html", "a.pdf")
    assert (code, "a page is written as .html, not as 'a.pdf'; rename it" in err) == (2, True)


def test_the_table_and_the_document_say_which_group_was_measured(run, place):
    words = ("--data", "tiny.npz", "--limit", 4, "--severities", 3, "--json", "-")
    code, out, err = run("evaluate", "0.card", *words, "--corruptions", "bar", "--baseline", "1.card")
    document = json.loads(out)
    assert code == 0 and len(document["cells"]) == 10
    assert document["groups"] == {"bar": pytest.approx(document["robust_accuracy"])}
    assert "by group: bar" in err
    assert set(document["corruption_errors"]) == set(document["corruptions"])


def test_no_document_says_where_files_lie_on_this_machine(run, place):
    run("corrupt", "--data", "tiny.npz", "--out", "tiny-C", "--corruptions", "contrast")
    words = ("--data", place / "tiny.npz", "--limit", 4, "--json", "-")
    more = (
        "--root",
        place,
        "--corruptions",
        "contrast",
        "--severities",
        "1,5,5",
        "--baseline",
        place / "1.card",
    )
    for command in (
        ("evaluate", place / "0.card", *words, *more),
        ("heatmap", place / "0.card", *words, "--out", place / "a.svg"),
    ):
        code, out, err = run(*command)
        assert code == 0, err
        document = json.loads(out)
        assert str(place) not in out
        about = {"model": "0.card", "data": "tiny.npz", "seed": 0, "winninghand": wh.__version__}
        assert {key: document[key] for key in about} == about
        assert document["test_digest"] == wh.load_images(place / "tiny.npz").test.digest
    assert run("evaluate", place / "0.card", *words, *more)[1].count('"severity"') == 4


def test_a_baseline_is_not_adapted_with_the_model(run, place, tiny_images):
    module = wh.network("resnet18", width=2, classes=2)
    card = wh.Card.from_module(module, tiny_images.classes, (16, 16))
    card.save("norms.card")
    words = (
        "evaluate",
        "norms.card",
        *EVALUATE[2:],
        "--json",
        "-",
        "--adapt",
        "4",
        "--baseline",
        "norms.card",
    )
    code, out, _ = run(*words)
    assert code == 0
    plain, adapted = (
        wh.evaluate(model, tiny_images.test, "fog,contrast", [1, 5])
        for model in (card, with_bn_adaptation(card, 4))
    )
    difference = json.loads(out)["differences"]["clean_accuracy"]["mean"]
    assert difference == pytest.approx(adapted.clean_accuracy - plain.clean_accuracy)
    assert not np.array_equal(adapted.clean.confidence, plain.clean.confidence)


def test_the_table_is_not_broken_where_there_is_no_terminal(run, place):
    _, _, err = run(*EVALUATE[:-1])
    row = next(line for line in err.splitlines() if "contrast " in line)
    assert row.count("%") == 6
    assert "generated" in row


def test_an_archive_under_root_is_used_and_named(run, place):
    run("corrupt", "--data", "tiny.npz", "--out", "tiny-C", "--corruptions", "contrast", "--seed", "7")
    code, out, err = run(*EVALUATE, "--root", ".", "--json", "-")
    assert code == 0
    document = json.loads(out)
    assert document["archive"] == "tiny-C"
    assert [cell["source"] for cell in document["cells"]] == ["generated"] * 2 + ["archive"] * 2
    assert "archive: tiny-C" in err


def test_a_document_says_nothing_of_the_machine(run, place):
    run("corrupt", "--data", "tiny.npz", "--out", "tiny-C", "--corruptions", "fog", "--limit", "4")
    words = ["--corruptions", "fog", "--limit", "4", "--root", place, "--baseline", place / "1.card"]
    code, out, _ = run("evaluate", place / "0.card", "--data", place / "tiny.npz", *words, "--json", "-")
    assert code == 0
    assert str(place) not in out
    document = json.loads(out)
    names = {"model": "0.card", "data": "tiny.npz", "baseline": "1.card", "archive": "tiny-C"}
    assert {key: document[key] for key in names} == names


def test_an_archive_of_other_images_is_one_line(run, place):
    run("corrupt", "--data", "tiny.npz", "--out", "tiny-C", "--corruptions", "contrast", "--limit", "8")
    code, out, err = run(*EVALUATE, "--root", ".")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "lacks 24 of the 32 images" in err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--cells", "cells.txt"), "cells.txt"),
        (("--baseline", "missing.card"), "missing.card"),
        (("--alexnet",), "AlexNet's errors are those on ImageNet's 1,000 classes"),
    ],
)
def test_bad_options_are_refused_before_anything_is_measured(run, place, words, named):
    code, out, err = run(*EVALUATE, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err


def test_a_heatmap_is_drawn_and_told(run, place):
    code, out, err = run(
        "heatmap", "0.card", "--data", "tiny.npz", "--out", "map.svg", "--limit", "4", "--json", "-"
    )
    assert code == 0
    document = json.loads(out)
    assert np.shape(document["errors"]) == (16, 16)
    assert document["images"] == 4
    assert document["norm"] == 4
    assert (place / "map.svg").read_text().startswith("<svg")
    assert "on average under one frequency" in err


def test_more_frequencies_than_usual_are_told_before_they_are_taken(run, place, monkeypatch):
    monkeypatch.setattr(heatmap, "_ALL_UP_TO", 8)
    monkeypatch.setattr(heatmap, "LOWEST_SIDE", 5)
    words = ("heatmap", "0.card", "--data", "tiny.npz", "--out", "map.svg", "--limit", "4")
    code, _, err = run(*words, "--side", "999")
    assert code == 0
    assert err.startswith("130 frequencies, each a pass over 4 images; without --side they are 13\n")
    assert "each a pass" not in run(*words)[2]


@pytest.fixture
def pets(place, tiny_images):
    """The images as class folders, and a card of their classes."""
    for part, split in (("train", tiny_images.train), ("test", tiny_images.test)):
        for number, label in enumerate(split.labels):
            folder = place / "pets" / part / tiny_images.classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(split.images[number]).save(folder / f"{number:03d}.png")
    module = wh.network("conv2", width=2, classes=2, input_size=16)
    wh.Card.from_module(module, sorted(tiny_images.classes), (16, 16)).save("own.card")


def test_a_card_that_learned_otherwise_is_measured_on_streamed_images(run, pets):
    documents = []
    for words in ((), ("--stream",)):
        how = ("--data", "pets", "--corruptions", "fog", "--severities", "1", "--json", "-")
        code, out, err = run("evaluate", "own.card", *how, *words)
        assert code == 0, err
        assert ("streamed from their files" in err) == bool(words)
        documents.append(json.loads(out)["cells"])
    assert documents[0] == documents[1]
    code, _, err = run("evaluate", "0.card", "--data", "tiny.npz", "--stream")
    assert code == 2 and "cannot be streamed" in err


def test_what_is_made_of_streamed_images_is_what_is_made_of_those_in_memory(run, pets, monkeypatch):
    monkeypatch.setattr(fitting, "SEVERITIES", (3,))
    out = {
        ("profile", "own.card", "--domain", "clean", "--out"): ".card",
        ("export", "own.card", "--quantize", "int8"): ".onnx",
        ("deck",): ".deck",
    }
    for words, ending in out.items():
        for name, how in (("kept", ()), ("streamed", ("--stream",))):
            more = (f"{name}.card", "--limit", "20") if words == ("deck",) else ()
            code, _, err = run(*words, f"{name}{ending}", *more, "--data", "pets", *how)
            assert code == 0, err
            assert ("streamed from their files" in err) == bool(how)
    for ending in (".card", ".onnx", ".deck"):
        assert Path(f"kept{ending}").read_bytes() == Path(f"streamed{ending}").read_bytes()
    module = wh.network("resnet20", width=2, classes=2)
    wh.Card.from_module(module, ("bright", "dark"), (16, 16)).save("own.card")
    norms = ("--domains", "clean", "--epochs", "1", "--limit", "20", "--data", "pets", "--stream")
    code, _, err = run("specialize", "own.card", "norms.deck", *norms)
    assert code == 0 and "streamed from their files" in err, err


@pytest.mark.parametrize("words", [("--out", "map.jpg"), ("--out", "map.svg", "--norm", "0")])
def test_a_heatmap_that_cannot_be_is_one_line(run, place, words):
    code, out, err = run("heatmap", "0.card", "--data", "tiny.npz", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (place / "map.svg").exists()

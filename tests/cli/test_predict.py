import csv
import json
import struct
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import winninghand as wh
from winninghand.cards import Prediction
from winninghand.cards.prediction import Unreadable
from winninghand.evaluation.confusion import Confusion
from winninghand.report import predictions, terminal
from winninghand.spectra import SpectralProfile

CLASSES = ("cat", "dog", "ship")


@pytest.fixture
def place(tmp_path):
    generator = np.random.default_rng(0)
    pictures = tmp_path / "pictures"
    (pictures / "below").mkdir(parents=True)
    Image.fromarray(generator.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(pictures / "a.jpg")
    Image.fromarray(generator.integers(0, 255, (9, 7), dtype=np.uint8)).save(pictures / "b.gif")
    rgba = generator.integers(0, 255, (16, 16, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(pictures / "below/c.png")
    (pictures / "notes.txt").write_text("no image, and no image's name")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (tmp_path / "bomb.png").write_bytes(bomb())
    (tmp_path / "empty").mkdir()
    torch.manual_seed(0)
    cards = []
    for number in range(2):
        profile = SpectralProfile.of(torch.rand(50, 3, 16, 16) * (number + 1) / 2)
        module = wh.network("resnet18", width=2, classes=3)
        cards.append(wh.Card.from_module(module, CLASSES, (16, 16), profile=profile))
    cards[0].save(tmp_path / "a.card")
    wh.Deck(cards, "spectral_image").save(tmp_path / "a.deck")
    return tmp_path


def bomb():
    """A PNG file of a few bytes that declares 60,000 × 60,000 pixels."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_files_and_folders_of_any_format_and_size(run, place):
    code, out, err = run(
        "predict", place / "a.deck", place / "pictures", place / "pictures/a.jpg", "--json", "-"
    )
    assert code == 0, err
    document = json.loads(out)
    rows = document["predictions"]
    assert [row["file"].rsplit("/", 1)[-1] for row in rows] == ["a.jpg", "b.gif", "c.png", "a.jpg"]
    assert all(row["class"] in CLASSES and 1 / 3 <= row["probability"] <= 1 for row in rows)
    assert all(len(row["cards"]) == 1 and row["cards"][0] in (1, 2) for row in rows)
    assert document["failed"] == []
    assert document["gate"] == "spectral_image"
    assert document["adaptation"] is None


def test_the_answer_is_that_of_the_model_to_the_resized_image(run, place):
    code, out, _ = run("predict", place / "a.card", place / "pictures/below/c.png", "--json", "-")
    picture = Image.open(place / "pictures/below/c.png")
    white = Image.new("RGBA", picture.size, "white")
    pixels = np.asarray(Image.alpha_composite(white, picture).convert("RGB"))
    images = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    probability, choice = wh.load(place / "a.card")(images).softmax(1).max(1)
    row = json.loads(out)["predictions"][0]
    assert code == 0
    assert row["class"] == CLASSES[choice]
    assert row["probability"] == pytest.approx(float(probability.detach()), abs=1e-4)


def test_unreadable_files_are_listed_and_the_others_answered(run, place):
    target = place / "out.json"
    words = (place / "broken.png", place / "pictures/a.jpg", place / "bomb.png")
    code, out, err = run("predict", place / "a.deck", *words, "--json", target)
    assert code == 0
    assert out.count("\n") == 2
    assert "2 of 3 files could not be read" in err
    assert "broken.png" in err
    assert "bomb.png has more than" in err
    document = json.loads(target.read_text())
    assert [row["file"] for row in document["failed"]] == [str(words[0]), str(words[2])]


def test_only_where_all_fail_the_exit_code_is_2(run, place):
    code, out, err = run("predict", place / "a.card", place / "bomb.png", place / "broken.png")
    assert (code, out) == (2, "")
    assert "2 of 2 files could not be read" in err


def test_adaptation_is_told(run, place):
    code, out, err = run("predict", place / "a.deck", place / "pictures", "--adapt", 8, "--json", "-")
    assert code == 0, err
    assert json.loads(out)["adaptation"] == 8


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["a.deck", "missing.png"], "missing.png"),
        (["a.deck", "empty"], "empty"),
        (["broken.png", "pictures"], "broken.png"),
        (["missing.deck", "pictures"], "missing.deck"),
        (["a.deck", "pictures", "--adapt", "0"], "prior"),
    ],
)
def test_bad_input_is_one_line(run, place, words, named):
    code, out, err = run("predict", place / words[0], place / words[1], *words[2:])
    assert (code, out) == (2, "")
    assert named in err
    assert err.count("\n") == 1


def test_a_header_and_the_likeliest_classes_of_each_image(run, place):
    code, out, err = run("predict", place / "a.deck", place / "pictures", "--top", 2)
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert header == ["file", "class", "probability", "cards", "class 2", "probability 2"]
    assert [len(row) for row in rows] == [6, 6, 6]
    assert all({row[1], row[4]} < set(CLASSES) and float(row[2]) >= float(row[5]) for row in rows)
    counts = {name: sum(row[1] == name for row in rows) for name in CLASSES}
    assert "3 images: " in err
    assert all(f"{name} {count}" in err for name, count in counts.items() if count)
    played = [sum(row[3] == str(number) for row in rows) for number in (1, 2)]
    assert f"cards played: 1 on {played[0]}, 2 on {played[1]}" in err
    assert "accuracy" not in err
    assert (
        len(run("predict", place / "a.card", place / "pictures", "--top", 9)[1].split("\n")[0].split("\t"))
        == 8
    )


@pytest.fixture
def folders(place):
    """Class folders: two pictures of cats, one with a folder between, one of a dog, one of none."""
    for name in ("cat/a.png", "cat/deep/b.png", "dog/c.png", "no class/d.png"):
        (place / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), len(name), np.uint8)).save(place / "photos" / name)
    (place / "photos/dog/broken.png").write_bytes(b"nothing")
    return place / "photos"


def test_a_folder_of_class_folders_is_scored(run, place, folders):
    words = ("predict", place / "a.card", folders, "--csv", place / "out.csv", "--json", place / "out.json")
    code, _, err = run(*words)
    assert code == 0
    document = json.loads((place / "out.json").read_text())
    rows = document["predictions"]
    true = {Path(row["file"]).name: row["true_class"] for row in rows}
    assert true == {"a.png": "cat", "b.png": "cat", "c.png": "dog", "d.png": None}
    right = [row["class"] == row["true_class"] for row in rows if row["true_class"]]
    assert document["accuracy"] == pytest.approx(sum(right) / 3)
    assert sum(one["images"] for one in document["confusion"]) == 3
    assert f"accuracy {sum(right) / 3:.2%}" in err
    assert "of 3 images in folders named after classes; 1 image lies elsewhere" in err
    assert "Answers by true class" in err
    assert "1 of 5 files could not be read" in err
    with (place / "out.csv").open(newline="") as file:
        table = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert [row["true class"] for row in table.values()].count("dog") == 2
    assert "cannot be read as an image" in table["broken.png"]["error"]
    assert table["broken.png"]["class"] == table["a.png"]["error"] == table["d.png"]["right"] == ""
    assert all(
        table[name]["right"] == str(int(table[name]["class"] == true[name])) for name in ("a.png", "c.png")
    )


def test_a_folder_is_named_after_a_class_however_its_letters_are_composed():
    composed, apart = (unicodedata.normalize(form, "Bär") for form in ("NFC", "NFD"))
    place = Path("photos")
    paths = [
        place / "test" / apart / "1/a.png",
        place / "b.png",
        Path("Bär/c.png"),
        place / "1" / composed / "d.png",
    ]
    assert predictions.true_classes(paths, [place, paths[2]], [composed, "1"]) == {
        paths[0]: composed,
        paths[3]: "1",
    }


def test_many_classes_and_failures_are_shortened(capsys):
    names = [f"class {number:02}" for number in range(15)]
    paths = [Path(f"photos/{number}.png") for number in range(60)]
    answers = [
        Prediction(path, names[number % 14 + number % 2], 0.5, (1,), ((names[0], 0.5),))
        for number, path in enumerate(paths)
    ]
    truth = {path: names[number % 14] for number, path in enumerate(paths)}
    failures = [Unreadable(Path(f"{number}.png"), f"{number}.png is broken") for number in range(25)]
    confusion = predictions.confusion_of(answers, truth)
    predictions.print_summary([*answers, *failures], 1, truth)
    err = capsys.readouterr().err
    assert confusion.accuracy.mean == 0.5
    assert "The most frequent mistakes" in err
    assert "and 5 more, which --csv and --json list" in err
    assert "19.png is broken" in err and "20.png is broken" not in err


def test_long_names_of_classes_become_numbers_in_a_narrow_terminal(capsys, monkeypatch):
    narrow = terminal._Terminal(stderr=True, width=70, markup=False, emoji=False)
    monkeypatch.setattr(predictions, "console", narrow)
    names = ["a very long name of a class", "another very long name of a class", "cat"]
    pairs = [(names[0], names[1]), (names[0], names[0]), (names[1], names[2])]
    predictions._print_matrix(Confusion.of(pairs), names)
    rows = [row.split("│") for row in capsys.readouterr().err.splitlines() if row.startswith("│")]
    assert [[text.strip() for text in row[1:-1]] for row in rows] == [
        [f"1 {names[0]}", "1", "1", "·", "50.0%"],
        [f"2 {names[1]}", "·", "·", "1", "0.0%"],
    ]


def test_in_a_terminal_columns_stand_below_each_other(run, place, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    words = ("predict", place / "a.card", place / "pictures", place / "pictures/a.jpg", "--top", 2)
    header, *rows = run(*words)[1].splitlines()
    assert "\t" not in header
    assert len(rows) == 4
    start = header.index("class")
    assert all(row[start - 2 : start] == "  " and row[start:].split()[0] in CLASSES for row in rows)


def test_the_true_class_may_be_among_the_likeliest(run, place, folders):
    err = run("predict", place / "a.card", folders, "--top", 3)[2]
    assert "the true class is among the 3 likeliest of 100.00%" in err


@pytest.mark.parametrize("words", [("--top", "0"), ("--csv", "a.card"), ("--csv", "pictures")])
def test_what_the_options_cannot_take_is_one_line(run, place, monkeypatch, words):
    monkeypatch.chdir(place)
    code, out, err = run("predict", "a.card", "pictures", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)

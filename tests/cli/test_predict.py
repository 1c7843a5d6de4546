import json
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

import winninghand as wh
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
    assert out.count("\n") == 1
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

"""`winninghand inspect`: a data sheet, and sparsity by stage."""

import json
import re
from math import prod

import pytest

import winninghand as wh
from winninghand.cards.data_sheet import amount, stages
from winninghand.networks import count_macs

NAMES = [str(number) for number in range(10)]
CONTROLS = set("\x1b\r\t\x9b\u202e")


def sheet_of(err):
    """Return the lines of a data sheet by name."""
    found = re.findall(r"^(\S.*?)  +(\S.*?) *$", err, re.MULTILINE)
    return {name: text for name, text in found if "│" not in text}


def test_a_card_of_the_zoo(run):
    name = "zoo:cifar10-lrr95-augmix"
    code, out, err = run("inspect", name, "--json", "-")
    document, sheet = json.loads(out), sheet_of(err)
    assert code == 0
    assert sheet["network"] == "resnet18 (width 32, stem_stride 2)"
    assert sheet["classes"].startswith("10: airplane, automobile, bird")
    assert sheet["images"] == "32×32 pixels, RGB in [0, 1]; others are brought to that size by crop"
    assert sheet["normalisation"] == "mean 0.4915, 0.4821, 0.4466; std 0.2452, 0.2428, 0.2606"
    assert sheet["domain"].startswith("augmix (")
    assert sheet["method"] == "lrr, to a sparsity of 95%, global scope"
    assert sheet["training"].startswith("24 epochs per phase, batches of 128, learning rate 0.2")
    assert sheet["accuracies"] == "validation 86.76%, test 86.14%"
    assert sheet["weights"] == "fp16, rounded by 512 training images"
    assert sheet["bytes"].startswith("336,418")
    card = wh.load(name)
    total = sum(count_macs(card.network, card.input_size).values())
    assert document["macs"] == total
    shares = [layer["macs"] * layer["nonzero"] / prod(layer["shape"]) for layer in document["layers"]]
    assert document["nonzero_macs"] == sum(shares)
    assert sheet["multiply-accumulates"].startswith(f"{total / 1e6:.1f} million for one image, ")
    rows = re.findall(r"^│ (\S+) +│ (\S+) ", err, re.MULTILINE)
    assert rows == [
        ("conv1", "1"),
        ("layer1", "4"),
        ("layer2", "5"),
        ("layer3", "5"),
        ("layer4", "5"),
        ("fc", "1"),
    ]
    _, _, err = run("inspect", name, "--layers")
    assert "layer3.0.downsample.0.weight" in err


def test_a_deck_shows_its_cards_side_by_side(run):
    code, out, err = run("inspect", "zoo:cifar10-lrr95-deck", "--json", "-")
    document, sheet = json.loads(out), sheet_of(err)
    assert code == 0
    cards = document["cards"]
    assert document["macs"] == sum(card["macs"] for card in cards)
    assert sheet["cards"] == str(len(cards))
    assert "fitted" in sheet["gate"]
    assert "where all cards play" in sheet["multiply-accumulates"]
    assert f"sparsity {len(cards)}" in err
    assert err.count("resnet18") == len(cards)


def test_little_is_known_of_a_bare_module_and_it_is_said(run, tmp_path):
    wh.Card.from_module(wh.network("conv2", width=2), NAMES, (32, 32)).save(tmp_path / "a.card")
    code, _, err = run("inspect", tmp_path / "a.card")
    sheet = sheet_of(err)
    assert code == 0
    assert sheet["method"] == sheet["domain"] == "not known"
    assert sheet["normalisation"] == "none"
    assert "accuracies" not in sheet and "training" not in sheet
    assert sheet["multiply-accumulates"].endswith("for one image")


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        (["a.weight", "b.weight"], {"a.weight": [0], "b.weight": [1]}),
        (
            ["stem.weight", *(f"blocks.{i // 4}.{i % 4}.weight" for i in range(16)), "head.weight"],
            {
                "stem": [0],
                "blocks.0": [1, 2, 3, 4],
                "blocks.1": [5, 6, 7, 8],
                "blocks.2": [9, 10, 11, 12],
                "blocks.3": [13, 14, 15, 16],
                "head": [17],
            },
        ),
        (
            ["weight"] * 1 + [f"{i}.weight" for i in range(13)],
            {"weight": [0]} | {f"{i}": [i + 1] for i in range(13)},
        ),
    ],
)
def test_stages(layers, found):
    assert stages(layers) == found


def test_amounts():
    assert [amount(number) for number in (999, 1500, 35_200_000, 4_100_000_000)] == [
        "999",
        "1.5 thousand",
        "35.2 million",
        "4.1 billion",
    ]


def test_one_epoch_is_not_several():
    card = wh.Card.from_module(wh.network("conv2", width=2), NAMES, (32, 32))
    for epochs, said in ((1, "1 epoch per phase"), (2, "2 epochs per phase")):
        sheet = card.with_metadata(recipe={"training": {"epochs": epochs}}).data_sheet()
        assert sheet["training"] == said


def test_what_a_strangers_file_says_of_itself_moves_nothing(run, tmp_path):
    card = wh.Card.from_module(wh.network("conv2", width=2), NAMES, (32, 32))
    strange = {
        "compression": {"method": ["x\x1b[2J\n"], "sparsity": "much", "scope": {}},
        "training": {"epochs": "\x9b\n", "learning_rate": [[[]]], "batch_size": True},
        "seed": {"\u202e": 1},
        "images": {"transform": "crop"},
    }
    card = card.with_metadata(
        recipe=strange,
        domain={"name": "a\tb\n", "k": "\x1b"},
        accuracies={"\x1b[2J": 0.5},
        winninghand="1\r\u202e",
    )
    assert not CONTROLS & set("".join(card.data_sheet().values()))
    card.save(tmp_path / "a.card")
    code, _, err = run("inspect", tmp_path / "a.card")
    assert code == 0
    assert not CONTROLS & set(err)
    assert r"a\tb\n" in err
    assert "brought to that size by crop" in err

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import winninghand as wh

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        torch.manual_seed(number)
        torch.save(wh.network("resnet20", width=2, classes=3).state_dict(), tmp_path / f"{number}.pt")
        torch.save({"state_dict": wh.network("card_lrr", width=1).state_dict()}, tmp_path / f"lrr{number}.pt")
    torch.save(wh.network("resnet20"), tmp_path / "module.pt")
    return tmp_path


def test_a_card_and_a_deck_are_made_of_checkpoints(run, place):
    code, out, err = run(
        "import", "0.pt", "a.card", "--architecture", "resnet20", "--classes", "x,y,z",
        "--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2", "--input-size", "24",
    )  # fmt: skip
    assert (code, out) == (0, "")
    assert "a.card" in err
    card = wh.load("a.card")
    assert card.classes == ("x", "y", "z")
    assert card.metadata.input_size == (24, 24)
    assert (card.metadata.mean, card.metadata.std) == ((0.5,) * 3, (0.2,) * 3)
    assert run("import", "lrr0.pt", "lrr1.pt", "b.deck", "--architecture", "card_lrr")[0] == 0
    deck = wh.load("b.deck")
    assert deck.gate == "average"
    assert deck.classes[0] == "airplane"


def test_names_of_classes_come_from_a_file(run, place, check_refusal):
    (place / "names.txt").write_text("n01\n n02 \n\nné\n", encoding="utf-8")
    words = ("import", "0.pt", "a.card", "--architecture", "resnet20", "--classes")
    assert run(*words, "names.txt")[0] == 0
    assert wh.load("a.card").classes == ("n01", "n02", "né")
    (place / "names.txt").write_bytes(b"\xff\xfe")
    check_refusal(place, (*words, "names.txt"), "names.txt is no readable file of class names")


def test_masks_of_a_file_of_their_own_are_multiplied_in(run, place, check_refusal):
    weights = torch.load("0.pt", weights_only=True)
    torch.save({"fc.weight": torch.tensor([[1, 0, 1, 0, 0, 0, 1, 0]] * 3, dtype=torch.int32)}, "mask.pth")
    assert run("import", "0.pt", "a.card", "--architecture", "resnet20", "--mask", "mask.pth")[0] == 0
    head = wh.load("a.card").network.fc.weight
    assert torch.equal(head[:, [0, 2, 6]], weights["fc.weight"][:, [0, 2, 6]])
    assert int(head.count_nonzero()) == 9
    words = ("import", "0.pt", "b.card", "--architecture", "resnet20", "--mask", "1.pt")
    check_refusal(place, words, "its mask of 'conv1.weight' holds other values than 0 and 1")


def test_what_was_imported_is_exported_and_imported_again(run, place):
    assert run("import", "0.pt", "a.card", "--architecture", "resnet20")[0] == 0
    card = wh.load("a.card")
    for ending in ("safetensors", "sparse.pt"):
        code, out, err = run("export", "a.card", f"b.{ending}")
        assert (code, out) == (0, "")
        assert f"b.{ending}" in err
        assert run("import", f"b.{ending}", "b.card", "--architecture", "resnet20")[0] == 0
        assert torch.equal(wh.load("b.card")(IMAGES), card(IMAGES))


def test_a_c_file_is_named_after_itself_and_says_what_it_takes(run, place):
    assert run("import", "0.pt", "a.card", "--architecture", "resnet20")[0] == 0
    code, out, err = run("export", "a.card", "my-net.c")
    assert (code, out) == (0, "")
    constants, ram = re.search(r"flash ([\d,]+) bytes and the code, RAM ([\d,]+) bytes", err).groups()
    text = Path("my-net.c").read_text()
    assert "int my_net_predict(" in text
    assert f"Flash: {constants} bytes of constants, and the code. RAM: {ram} bytes" in text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["import", "0.pt", "a.card"], "architecture"),
        (["import", "0.pt", "a.card", "--architecture", "resnet21"], "did you mean"),
        (["import", "0.pt", "a.card", "--architecture", "resnet18"], "check --architecture"),
        (["import", "0.pt", "a.card", "--architecture", "resnet20", "--set", "width"], "key=value"),
        (["import", "0.pt", "a.card", "--architecture", "resnet20", "--set", "width=4"], "conv1.weight"),
        (["import", "0.pt", "a.card", "--architecture", "resnet20", "--mean", "0.5"], "--mean"),
        (["import", "0.pt", "a.card", "--architecture", "resnet20", "--std", "0,0,0"], "normalise"),
        (["import", "0.pt", "a.card", "--architecture", "resnet20", "--classes", "a,b"], "3 classes"),
        (["import", "0.pt", "a.card", "--architecture", "resnet20", "--scores", "ep"], "--sparsity"),
        (["import", "0.pt", "1.pt", "a.card", "--architecture", "resnet20"], ".deck"),
        (["import", "0.pt", "--architecture", "resnet20"], ".card or .deck"),
        (["import", "module.pt", "a.card", "--architecture", "resnet20"], "run its code"),
        (["import", "absent.pt", "a.card", "--architecture", "resnet20"], "absent.pt"),
        (["export", "0.pt", "a.onnx"], "0.pt"),
        (["export", "absent.card", "a.onnx"], "absent.card"),
        (["export", "zoo:cifar10-lrr95-clean", "a.onnx", "--quantize", "int8"], "--data"),
        (["export", "zoo:cifar10-lrr95-clean", "a.onnx", "--quantize", "int4", "--data", "digits"], "int4"),
        (["export", "zoo:cifar10-lrr95-clean", "a.onnx", "--data", "digits"], "--quantize int8"),
        (["export", "zoo:cifar10-lrr95-clean", "a.pt2", "--opset", "20"], "only .onnx"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(check_refusal, place, words, named):
    check_refusal(place, words, named)


@pytest.mark.slow
def test_a_file_of_whole_numbers_is_shown_beside_one_of_floats(run, place):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the packages for ONNX are not installed")
    card = wh.Card.from_module(wh.network("conv2", width=2, input_size=16), list("abcdefghij"), (16, 16))
    card.quantized("int8").save("a.card")
    code, out, err = run(
        "export",
        "a.card",
        "a.onnx",
        "--quantize",
        "int8",
        "--data",
        "digits",
        "--limit",
        "20",
        "--opset",
        "17",
    )
    assert (code, out) == (0, "")
    size = (place / "a.onnx").stat().st_size
    assert re.search(rf"int8 +│ +{size:,} +│ +[\d.]+ ", err)
    assert re.search(r"float +│ +[\d,]+ +│ +[\d.]+ ", err)
    assert "weights by their own levels" in err
    assert re.search(r"[\d.]+% of 20 calibration images keep their class", err)


def test_an_unknown_ending_is_refused(run, place):
    assert run("import", "0.pt", "a.card", "--architecture", "resnet20")[0] == 0
    code, _, err = run("export", "a.card", "a.bin")
    assert code == 2
    assert ".safetensors" in err
    assert not (place / "a.bin").exists()

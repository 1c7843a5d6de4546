"""Bad input gets one line on standard error, exit code 2, and nothing half-written."""

import os

import pytest
import torch
from PIL import Image

import winninghand as wh

RECIPE = 'network = {name = "conv2", width = 2}\n[training]\nepochs = 1\n'


@pytest.fixture
def place(tmp_path):
    (tmp_path / "good.toml").write_text(RECIPE)
    (tmp_path / "unknown-key.toml").write_text("colour = 1\n")
    (tmp_path / "ill-typed.toml").write_text('[training]\nepochs = "many"\n')
    (tmp_path / "not-toml.toml").write_text("= =\n")
    (tmp_path / "nested.toml").write_text("a = " + "[" * 5000 + "]" * 5000)
    (tmp_path / "digits.toml").write_text("seed = " + "9" * 5000)
    (tmp_path / "large.toml").write_text("#" * (2**20 + 1))
    (tmp_path / "bytes.toml").write_bytes(b"a = \xff")
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "empty").mkdir()
    (tmp_path / "one/cat").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "one/cat/a.png")
    (tmp_path / "parquet").mkdir()
    (tmp_path / "parquet/train-00000-of-00001.parquet").write_bytes(b"PAR1 broken PAR1")
    (tmp_path / "parquet/test-00000-of-00001.parquet").write_bytes(b"PAR1 broken PAR1")
    (tmp_path / "broken.card").write_bytes(b"\x10\0\0\0\0\0\0\0{broken")
    torch.manual_seed(0)
    classes = [str(digit) for digit in range(10)]
    for size in (16, 32):
        module = wh.network("conv2", width=2, input_size=size)
        wh.Card.from_module(module, classes, (size, size)).save(tmp_path / f"{size}.card")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train", "good.toml", "--data", "digit"], "digits"),
        (["train", "good.toml", "--data", "empty"], "empty"),
        (["train", "good.toml", "--data", "parquet"], "parquet"),
        (["train", "missing.toml"], "missing.toml"),
        (["train", "unknown-key.toml"], "colour"),
        (["train", "ill-typed.toml"], "training.epochs"),
        (["train", "not-toml.toml"], "not-toml.toml"),
        (["train", "nested.toml"], "nested too deep"),
        (["study", "nested.toml", "--out", "s"], "nested too deep"),
        (["train", "digits.toml"], "4300 digits"),
        (["train", "large.toml"], "more than 1,048,576 bytes"),
        (["show-augmentation", "bytes.toml"], "bytes.toml"),
        (["study", "pipe.toml", "--out", "s"], "no file"),
        (["train", "good.toml", "--set", "seed=" + "9" * 5000], "seed"),
        (["train", "good.toml", "--set", "seed=" + "[" * 50000], "seed"),
        (["train", "good.toml", "--set", "seed=1\nb=2"], "seed"),
        (["train", "good.toml", "--set", "training.learning_rate=inf"], "training.learning_rate"),
        (["train", "good.toml", "--set", "compression.sparsity=1"], "compression.sparsity"),
        (["train", "good.toml", "--set", "compression.sparsity=-0.5"], "compression.sparsity"),
        (["train", "good.toml", "--set", "sparsity"], "key=value"),
        (["train", "good.toml", "--log", "tensorbord"], "did you mean 'tensorboard'"),
        (["train", "good.toml", "--device", "cuda:63"], "cuda:63"),
        (["evaluate", "32.card", "--device", "nowhere"], "nowhere"),
        (["evaluate", "missing.card"], "missing.card"),
        (["evaluate"], "MODEL'. For example: winninghand evaluate zoo:"),
        (["evaluate", "cifar10-lrr95-hand"], "zoo:cifar10-lrr95-hand is a model that comes with the library"),
        (["predict", "good.toml", "32.card"], "no card or deck"),
        (["evaluate", "broken.card"], "broken.card"),
        (["evaluate", "32.card", "--corruptions", "fogg"], "fog"),
        (["evaluate", "32.card", "--severities", "0-5"], "1-5"),
        (["evaluate", "32.card", "--severities", "1-99999999999"], "1-5"),
        (["evaluate", "32.card", "--limit", "0"], "--limit"),
        (["evaluate", "32.card", "--order", "mixd"], "did you mean 'mixed'"),
        (["evaluate", "32.card", "--baseline", "16.card"], "16.card takes images of 16×16"),
        (["train", "good.toml", "--size", "0"], "--size"),
        (["train", "good.toml", "--size", "16", "--set", "network.input_size=32"], "32"),
        (["train", "good.toml", "--transform", "stretch"], "images.transform"),
        (["train", "good.toml", "--data", "one"], "one class alone, 'cat'"),
        (["inspect", "broken.card"], "broken.card"),
        (["deck", "out.deck", "32.card", "16.card", "--gate", "average"], "16"),
        (["deck", "out.deck", "32.card"], "profile"),
        (["deck", "out.deck", "empty"], "empty"),
        (["deck", "out.deck", "32.card", "--data", "digits", "--budget", "9" * 400 + "GB"], "size"),
        (["deck", "out.deck", "32.card", "--data", "digits", "--budget", "0.5kB"], "smallest card"),
        (["zoo", "--write", "good.toml"], "no place for the table"),
        (["zoo", "--write", "missing.md"], "missing.md"),
        (["zoo", "--write", "pipe.toml"], "no file"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_one_line_exit_2_nothing_written(check_refusal, place, monkeypatch, words, named):
    monkeypatch.chdir(place)
    check_refusal(place, words, named)


def test_a_training_is_logged(run, place, monkeypatch):
    monkeypatch.chdir(place)
    words = ("--set", "compression.method=dense", "--log", "tensorboard", "--device", "cpu")
    code, _, err = run("train", "good.toml", "--out", "run", *words)
    assert code == 0, err
    assert list((place / "run/logs").glob("events.out.tfevents.*"))


def test_a_folder_with_another_run_is_refused(run, place, monkeypatch):
    monkeypatch.chdir(place)
    assert run("train", "good.toml", "--out", "run", "--set", "compression.method=dense")[0] == 0
    card = (place / "run/card.card").read_bytes()
    code, _, err = run(
        "train", "good.toml", "--out", "run", "--set", "seed=7", "--set", "compression.method=dense"
    )
    assert code == 2
    assert "another run" in err
    assert (place / "run/card.card").read_bytes() == card

"""The program as a whole: how soon it answers, and what it says when it is stopped or warns."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from importlib import import_module

import pytest
import torch
from torch import nn

import winninghand as wh
from winninghand.base.deprecation import renamed
from winninghand.base.errors import InputError
from winninghand.cli.commands import COMMANDS
from winninghand.decks import load
from winninghand.recipe import load_recipe
from winninghand.report.terminal import sparsity_text
from winninghand.studies import load_study

# What takes long to import.
HEAVY = {
    "altair",
    "gradio",
    "huggingface_hub",
    "lightning_fabric",
    "numba",
    "numpy",
    "onnx",
    "pandas",
    "torch",
}


@pytest.mark.parametrize("words", [("names", "gates"), ("--help",), ("evaluate", "--help")])
def test_what_needs_no_network_imports_nothing_that_takes_long(words):
    program = (
        "import sys\nfrom winninghand.cli import main\n"
        "try:\n    main()\nfinally:\n    sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    assert "average" in done.stdout or "Usage" in done.stdout
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_in_words(run, name):
    code, out, err = run(name, "--help")
    assert (code, err) == (0, "")
    assert f"winninghand {name}" in out
    assert len(out.splitlines()) > 4


def test_help_needs_no_torch_for_any_command():
    program = (
        "import sys\nfrom winninghand.cli.commands import COMMANDS, make_program\n"
        "for name in COMMANDS: make_program([name])([name, '--help'], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=False).returncode
        == 0
    )


def test_names_of_one_kind_and_of_all(run):
    assert run("names", "gates")[1:] == ("\n".join(wh.names("gates")) + "\n", "")
    code, out, _ = run("names")
    assert code == 0
    assert "methods: dense, ft, gmp, lth, lrr, ep, bp, set, rigl, snip, grasp, synflow" in out
    assert run("names", "gate")[0] == 2


def test_names_of_networks_stay_a_list_and_those_elsewhere_are_told_beside_it(run, monkeypatch):
    there = {"timm": True}
    monkeypatch.setattr("winninghand.catalog.find_spec", there.get)
    for words in (("names",), ("names", "networks")):
        code, out, err = run(*words)
        assert code == 0 and ":NAME" not in out
        assert err == (
            "networks: also timm:NAME (timm is installed), torchvision:NAME (pip install "
            "'winninghand[torchvision]'), hf:OWNER/NAME (pip install 'winninghand[transformers]'), and, "
            "where you trust it, package.module:function of your own code\n"
        )
    assert out.split() == list(wh.names("networks"))


def test_inspect_tells_people_and_programs_the_same(run, tmp_path):
    module = wh.network("conv2", width=2)
    wh.Card.from_module(module, [str(digit) for digit in range(10)], (32, 32)).save(tmp_path / "a.card")
    code, out, err = run("inspect", tmp_path / "a.card", "--json", "-")
    assert code == 0
    document = json.loads(out)
    assert document["parameters"] == sum(parameter.numel() for parameter in module.parameters())
    assert document["bytes"] == (tmp_path / "a.card").stat().st_size
    layers = {layer["name"]: layer for layer in document["layers"]}
    assert f"{document['parameters']:,}, of which" in err
    assert all(name in err for name in layers)


def test_inspect_prints_100_percent_only_of_what_is_empty(run, tmp_path):
    module = wh.network("conv2", width=64)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.zero_()
            if name == "classifier.0.weight":
                weight.view(-1)[:19] = 1
    wh.Card.from_module(module, [str(digit) for digit in range(10)], (32, 32)).save(tmp_path / "a.card")
    code, _, err = run("inspect", tmp_path / "a.card")
    assert code == 0
    assert re.search(r"sparsity +99\.9996% of", err)
    row = next(line for line in err.splitlines() if "classifier.0.weight" in line)
    assert row.split("│")[-2].strip() == "99.9995%"
    assert [sparsity_text(*counts) for counts in ((0, 4), (4, 4), (1, 4), (10**6 - 1, 10**6), (0, 0))] == [
        "100.00%",
        "0.00%",
        "75.00%",
        "0.0001%",
        "0.00%",
    ]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_that_a_library_made_another_error_of_is_one(run, monkeypatch, sent):
    def interrupted(*_):
        try:
            os.kill(os.getpid(), sent)
            time.sleep(5)
        except KeyboardInterrupt:
            raise ValueError("could not determine the shape") from None

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    monkeypatch.setattr(signal, "getsignal", usual.get)
    monkeypatch.setattr("winninghand.catalog.names", interrupted)
    code, _, err = run("names")
    assert (code, err) == (128 + sent, "winninghand: interrupted; nothing half-written is left\n")


@pytest.mark.parametrize(("command", "line"), [("demo", "to go on where it was"), ("names", "half-written")])
def test_an_interrupted_command_says_how_to_go_on(run, monkeypatch, command, line):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("winninghand.studies.demo.run_demo", interrupted)
    monkeypatch.setattr("winninghand.catalog.names", interrupted)
    code, out, err = run(command)
    assert (code, out, err.count("\n")) == (130, "", 1)
    assert line in err


def test_warnings_of_the_library_are_one_line_and_others_are_left_alone(run, monkeypatch):
    def warning(_=None):
        renamed("wh.old", "wh.new")
        warnings.warn("not ours", UserWarning, stacklevel=1)
        return ()

    monkeypatch.setattr("winninghand.catalog.names", warning)
    with pytest.warns(UserWarning, match="not ours"):
        code, _, err = run("names", "gates")
    assert (code, err) == (0, "winninghand: wh.old is now called wh.new; the old name goes in 0.3\n")


@pytest.mark.parametrize(
    ("library", "words", "extra"),
    [
        ("altair", ("heatmap", "a.card", "--out", "map.svg"), "report"),
        ("jinja2", ("evaluate", "a.card", "--html", "a.html"), "report"),
        ("onnx", ("export", "a.card", "a.onnx"), "export"),
        ("pyarrow", ("evaluate", "a.card", "--data", "parquet"), "parquet"),
    ],
)
def test_a_missing_extra_is_one_line(check_refusal, tmp_path, monkeypatch, library, words, extra):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    module = wh.network("conv2", width=2)
    wh.Card.from_module(module, [str(digit) for digit in range(10)], (32, 32)).save("a.card")
    (tmp_path / "parquet").mkdir()
    for split in ("train", "test"):
        (tmp_path / f"parquet/{split}-00000-of-00001.parquet").touch()
    check_refusal(tmp_path, words, f"pip install 'winninghand[{extra}]'")


def test_a_folder_in_place_of_a_model_is_told_of(tmp_path):
    (tmp_path / "card.card").touch()
    (tmp_path / "empty").mkdir()
    for folder, said in (
        (tmp_path, f"give {tmp_path}/card.card"),
        (tmp_path / "empty", "give a .card or .d"),
    ):
        with pytest.raises(InputError, match=f"it is a folder; {said}"):
            load(folder)


def test_study_and_train_tell_each_others_files(tmp_path):
    (tmp_path / "one.toml").write_text('network = "conv2"\n[training]\nepochs = 1\n')
    with pytest.raises(InputError, match=r"one\.toml is a recipe, not a study; `winninghand train` takes it"):
        load_study(tmp_path / "one.toml")
    (tmp_path / "two.toml").write_text('title = "T"\n[recipe]\nnetwork = "conv2"\n')
    with pytest.raises(InputError, match=r"two\.toml is a study, not a recipe; `winninghand study` takes it"):
        load_recipe(tmp_path / "two.toml")


def test_images_that_are_left_out_are_missed_in_one_line():
    for work in (lambda: wh.train({}), lambda: wh.compress(nn.Linear(2, 2))):
        with pytest.raises(InputError, match="the images to train on are missing; give them"):
            work()


def test_a_part_that_fails_deep_within_is_told_of_in_one_line(monkeypatch, capsys):
    def fail(*_, **__):
        raise SystemExit(3)

    main = import_module("winninghand.cli.main")  # which the function of that name hides
    monkeypatch.setattr(main, "make_program", fail)
    monkeypatch.setattr("winninghand.base.registry.blamed", lambda error: f"the package bad failed ({error})")
    assert main._run(["names"]) == 2
    assert capsys.readouterr().err.startswith("winninghand: the package bad failed (3) (details in ")


def test_the_package_can_be_run():
    done = subprocess.run(
        [sys.executable, "-m", "winninghand", "names", "gates"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == list(wh.names("gates"))

"""`--trust`: code that a network names is run where that is said, and nowhere else."""

import inspect
import sys
from importlib import import_module

import numpy as np
import pytest

from winninghand.cli.commands import COMMANDS

CODE = """
from pathlib import Path

from torch import nn

Path("run").touch()

def small(width=4, classes=10):
    head = nn.Linear(width, classes)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
"""
RECIPE = """
network = {name = "my_networks:small", width = 3}
compression = {method = "dense"}
training = {epochs = 1, batch_size = 16}
"""

STUDY = f"""
title = "of one's own"
[[sweeps]]
"network.width" = [2, 3]
[evaluation]
corruptions = "contrast"
severities = [5]
limit = 16
[zoo]
data = "few"
reference = 8
[recipe]{RECIPE}"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_networks.py").write_text(CODE)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "study.toml").write_text(STUDY)
    images = np.random.default_rng(0).integers(0, 255, (64, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(64) % 2
    np.savez("few.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    yield tmp_path
    sys.modules.pop("my_networks", None)


def test_a_network_of_one_s_own_goes_the_whole_way_and_only_where_it_is_trusted(place, run):
    card = place / "run-folder" / "card.card"
    ways = (
        ("train", "recipe.toml", "--data", "few.npz", "--out", "run-folder"),
        ("deck", "a.deck", card, card, "--gate", "average"),
        ("evaluate", "a.deck", "--data", "few.npz", "--corruptions", "contrast", "--severities", "1"),
        ("inspect", card),
        ("study", "study.toml", "--data", "few.npz", "--out", "study", "--zoo", "zoo"),
    )
    for words in ways:
        (place / "run").unlink(missing_ok=True)
        sys.modules.pop("my_networks", None)
        code, _, err = run(*words)
        assert code == 2 and err.count("\n") == 1 and "say so by --trust" in err
        assert not (place / "run").exists()
        code, _, err = run(*words, "--trust")
        assert code == 0, err
        assert (place / "run").exists()
    assert sorted(path.name for path in (place / "zoo").glob("*.card")) == [
        "few-dense-clean-my_networks-small-2.card",
        "few-dense-clean.card",
    ]


def test_every_command_that_opens_a_model_takes_it():
    opening = {"model", "card", "cards", "architecture", "recipe", "file"}
    for name, command in COMMANDS.items():
        file, _, function = command.place.partition(":")
        parameters = inspect.signature(getattr(import_module(f"winninghand.cli.{file}"), function)).parameters
        if opening & parameters.keys():
            assert "trust" in parameters, name

import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

import winninghand as wh

CARD = Path(__file__).parent / "data/version_0_1.card"


def test_every_public_name_is_there():
    for name in wh.__all__:
        assert getattr(wh, name) is not None


def imports(program):
    """Return the modules that a fresh interpreter has imported after a program."""
    program = f"import sys, winninghand as wh; {program}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_library_imports_no_torch():
    assert not {"torch", "numpy", "importlib.metadata"} & imports("pass")


def test_no_public_name_imports_a_compiler_or_what_some_tasks_need():
    heavy = {
        "torch._dynamo",
        "numba",
        "lightning_fabric",
        "scipy",
        "pyarrow",
        "altair",
        "huggingface_hub",
        "onnx",
        "torchmetrics",
    }
    assert not heavy & imports(f"[getattr(wh, name) for name in wh.__all__]; wh.load({str(CARD)!r})")


def test_names_lists_each_kind():
    assert {"resnet18", "conv4"} <= set(wh.names("networks"))
    assert {"dense", "lrr"} <= set(wh.names("methods"))
    assert {"clean", "gaussian"} <= set(wh.names("domains"))
    assert {"average", "spectral"} <= set(wh.names("gates"))
    assert "contrast" in wh.names("corruptions")


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (
            lambda card: wh.Deck(card, "average"),
            "a list of cards, not of one card; give them, or",
        ),
        (lambda card: wh.Deck("x.card"), "not of str; give them, or their files"),
        (lambda card: wh.Deck([nn.Linear(2, 2)], "average"), "not of Linear"),
        (lambda card: wh.Deck([wh.Deck([card], "average")]), "cards of another deck as deck.cards"),
        (lambda card: wh.Deck([]), "1 to 256 cards, not 0"),
        (lambda card: wh.Deck([card], ["average"]), r"unknown gate \['average'\]; did you mean 'average'"),
        (lambda card: wh.Deck([card], "average", temperatures=1.0), "a list of as many temperatures"),
        (lambda card: wh.Card(nn.Linear(2, 2), {}), "metadata must be a CardMetadata, not dict"),
        (lambda card: wh.Card("x.card", card.metadata), "network must be a torch.nn.Module, not str"),
        (lambda card: wh.Card(card.network, card.metadata, "spectrum"), "profile must be a SpectralProfile"),
        (lambda card: wh.Recipe(training={"epochs": -1}), r"recipe: training\.epochs: .* not -1"),
        (lambda card: wh.Results(None), "folder of a study must be a path, not NoneType"),
        (lambda card: wh.load(3), "model must be a path, zoo:NAME or hf:OWNER/NAME, not int"),
        (lambda card: wh.load(""), "model must be a path, zoo:NAME or hf:OWNER/NAME, not empty"),
        (lambda card: wh.train(None, None), "recipe must be a Recipe, a table or a path, not NoneType"),
        (lambda card: wh.transforms.Corrupt(["fog"], 1), r"unknown corruption \['fog'\]"),
        (lambda card: wh.metrics.RobustAccuracy(3), "a name or a list of names, not 3"),
    ],
)
def test_what_the_face_cannot_take_is_told_in_one_line(make, named):
    with pytest.raises(wh.InputError, match=named) as told:
        make(wh.load(CARD))
    assert len(str(told.value).splitlines()) == 1


def test_a_card_may_be_played_twice():
    card = wh.load(CARD)
    assert len(wh.Deck([card, card], "average").cards) == 2

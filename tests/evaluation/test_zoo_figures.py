"""The zoo's models answer as they did when they were published, image by image.

`zoo_on_digits.json` was written by version 0.1 on a CPU: which of 200 digits each model of CIFAR-10 calls
by the number of their class, packed into bits, and its mean confidence. It is the digits that come with the
library, so that no other images are needed.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import winninghand as wh
from winninghand.base.errors import InputError
from winninghand.decks import fit_gate
from winninghand.evaluation import Measurement, accuracy, fourier_heatmap
from winninghand.images import Split

EXPECTED = json.loads(Path(__file__).with_name("zoo_on_digits.json").read_text())


def test_every_model_is_there():
    assert EXPECTED.keys() == set(wh.names("zoo"))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_answers_are_those_of_the_first_version(name):
    digits = wh.load_images("digits").test
    split = Split(digits.images, digits.labels)  # without the names of its classes, which are not CIFAR's
    table = wh.evaluate(wh.load(f"zoo:{name}"), split, "gaussian_noise,contrast", [3], limit=200)
    outcomes = {"clean": table.clean, **{cell.corruption: cell.outcome for cell in table.cells}}
    for cell, expected in EXPECTED[name].items():
        then = np.unpackbits(np.frombuffer(bytes.fromhex(expected["correct"]), np.uint8), count=200)
        # Other processors round otherwise, which an image on the edge between two classes may show.
        assert (outcomes[cell].correct != then).sum() <= 1
        assert outcomes[cell].confidence.mean() == pytest.approx(expected["confidence"], abs=1e-4)


def test_images_of_other_classes_are_refused():
    digits, deck = wh.load_images("digits"), wh.load("zoo:cifar10-lrr95-hand")
    told = r"knows other classes than the images \('airplane' instead of '0'\); give images of its classes"
    for measure in (wh.evaluate, fourier_heatmap, accuracy, Measurement("contrast", limit=1).cells):
        with pytest.raises(InputError, match=f"the model {told}"):
            list(measure(deck, digits.test))
    with pytest.raises(InputError, match=f"the deck {told}"):
        fit_gate(deck, digits.train)
    three = Split(digits.test.images[:2], [0, 2], ("0", "1", "2"))
    with pytest.raises(InputError, match=r"other classes than the images \(10 instead of 3\)"):
        wh.evaluate(deck, three)

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

EXPECTED = json.loads(Path(__file__).with_name("zoo_on_digits.json").read_text())


def test_every_model_is_there():
    assert EXPECTED.keys() == set(wh.names("zoo"))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_answers_are_those_of_the_first_version(name):
    split = wh.load_images("digits").test
    table = wh.evaluate(wh.load(f"zoo:{name}"), split, "gaussian_noise,contrast", [3], limit=200)
    outcomes = {"clean": table.clean, **{cell.corruption: cell.outcome for cell in table.cells}}
    for cell, expected in EXPECTED[name].items():
        then = np.unpackbits(np.frombuffer(bytes.fromhex(expected["correct"]), np.uint8), count=200)
        # Other processors round otherwise, which an image on the edge between two classes may show.
        assert (outcomes[cell].correct != then).sum() <= 1
        assert outcomes[cell].confidence.mean() == pytest.approx(expected["confidence"], abs=1e-4)

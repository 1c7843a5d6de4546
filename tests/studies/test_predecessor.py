"""A study that version 0.1 began: what it measured is taken over, what it began is finished.

`study_0_1.zip` holds two runs on `tiny_images`: one whose card was deleted after it was measured, and one
that was stopped after its last epoch, before its card was written.
"""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from winninghand.base.errors import InputError
from winninghand.results import Results
from winninghand.studies import Study, run_study

STUDY = {
    "title": "begun by version 0.1",
    "recipe": {
        "network": {"name": "conv2", "width": 2, "input_size": 16},
        "compression": {"method": "lth", "milestones": [0.5], "rewind_epoch": 0.5},
        "training": {"epochs": 1, "batch_size": 32, "precision": "32-true", "validation": 0.25},
    },
    "sweeps": [{"compression.sparsity": [0.5, 0.9], "seed": 0}],
    "evaluation": {"corruptions": "contrast,gaussian_noise", "severities": [1, 5]},
}


@pytest.fixture
def folder(tmp_path):
    with zipfile.ZipFile(Path(__file__).parents[1] / "data" / "study_0_1.zip") as file:
        file.extractall(tmp_path)
    return tmp_path


def test_what_was_measured_is_taken_over_and_what_was_begun_is_finished(tiny_images, folder):
    with np.load(folder / "lth-clean-0-f96a797f/answers.npz") as file:
        correct = file["correct"]
    said = []
    begun, finished = run_study(Study.model_validate(STUDY), tiny_images, folder, said.append)
    assert said == [
        f"1/2 {begun.name} (in lth-clean-0-07f5a2f3)",
        f"2/2 {finished.name} (in lth-clean-0-f96a797f): taken over from version 0.1",
    ]
    assert begun.clean_accuracy == 0.59375
    assert [cell.accuracy for cell in begun.cells] == [0.65625, 0.5, 0.75, 0.5625]
    assert (begun.about.validation_accuracy, begun.about.test_accuracy) == (0.75, 0.59375)
    assert np.array_equal([finished.clean.correct, *(cell.correct for cell in finished.cells)], correct)
    assert (finished.about.bytes, finished.about.validation_accuracy) == (4463, 0.5)
    assert (finished.about.parent, finished.about.epochs) == (begun.name, 1)
    assert finished.about.parameters == begun.about.parameters
    assert not (folder / "lth-clean-0-f96a797f/card.card").exists()
    assert [run.name for run in Results(folder).finished] == [begun.name, finished.name]


def test_runs_on_other_images_are_not_taken_over(tiny_images, folder):
    other = type(tiny_images)(tiny_images.test, tiny_images.test, tiny_images.classes, tiny_images.name)
    with pytest.raises(InputError, match=r"2 of 2 runs failed, first .*holds another run"):
        list(run_study(Study.model_validate(STUDY), other, folder))


def test_damaged_answers_are_one_line(tiny_images, folder):
    (folder / "lth-clean-0-f96a797f/answers.npz").write_bytes(b"PK broken")
    with pytest.raises(InputError, match=r"cannot read .*answers\.npz") as refusal:
        list(run_study(Study.model_validate(STUDY), tiny_images, folder))
    assert "\n" not in str(refusal.value)

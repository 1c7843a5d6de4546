"""Kill a run, or a study, before and after each of its renames; print how many kills there were.

A process of its own, with one thread: what is killed is forked from it. After every kill the work is done
again to its end in the same folder; whatever differs from work that was never killed ends the process.
"""

import csv
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

import winninghand as wh
from winninghand.studies import Study, run_study

NETWORK = {"name": "conv2", "width": 2, "input_size": 16}
TRAINING = {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "precision": "32-true"}
LTH = {"method": "lth", "sparsity": 0.5, "fraction_per_round": 0.5}
RECIPE = {"network": NETWORK, "compression": LTH, "training": {**TRAINING, "average": 0.5}}
STUDY = {
    "title": "killed",
    "recipe": {"network": NETWORK, "training": {**TRAINING, "epochs": 1}},
    "sweeps": [{"compression.milestones": [[0.5]], "compression.sparsity": [0.5, 0.8]}],
    "evaluation": {"corruptions": "contrast", "severities": [1]},
}


def images():
    generator = np.random.default_rng(0)
    labels = np.arange(48) % 2
    pixels = generator.integers(0, 128, (48, 16, 16, 3)) + 127 * labels[:, None, None, None]
    pixels = pixels.astype("uint8")
    return wh.ImageSet.from_arrays((pixels[:32], labels[:32]), (pixels[32:], labels[32:]), ["a", "b"])


def train(folder):
    wh.train(RECIPE, images(), folder)


def study(folder):
    list(run_study(Study.model_validate(STUDY), images(), folder))


def forked(work, folder, moment=None):
    """Work in a child that dies at a moment, two of which are at each rename; say whether it was killed."""
    child = os.fork()
    if child == 0:
        os.replace = dying(os.replace, moment)
        work(folder)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0


def dying(rename, moment):
    moments = iter(range(10**6))

    def replace(source, target):
        die(next(moments) == moment)
        rename(source, target)
        die(next(moments) == moment)

    return replace


def die(now):
    if now:
        os.kill(os.getpid(), signal.SIGKILL)


def content(folder):
    """Return all files of a folder, times left out of what is measured."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if path.name == "metrics.csv":
            with path.open() as file:
                rows = list(csv.DictReader(file))
            found[name] = [{key: row[key] for key in row if "second" not in key} for row in rows]
        elif path.name == "cells.parquet":
            cells = wh.Results(folder).cells
            found[name] = [{key: row[key] for key in row if key != "seconds"} for row in cells]
        elif path.suffix == ".pt":
            found[name] = None  # holds the times too
        else:
            found[name] = path.read_bytes()
    return found


def main(folder):
    kills = 0
    for work in (train, study):
        work(folder / "undisturbed")  # here, so that no child has anything to import
        expected = content(folder / "undisturbed")
        killed = folder / "killed"
        moment = 0
        while forked(work, killed, moment):
            assert not forked(work, killed)
            assert content(killed) == expected, (work.__name__, moment)
            shutil.rmtree(killed)
            moment += 1
        shutil.rmtree(killed)
        shutil.rmtree(folder / "undisturbed")
        kills += moment
    sys.stdout.write(str(kills))


main(Path(sys.argv[1]))

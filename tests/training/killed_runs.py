"""Train a run without a stop, and again killed at random moments; print how many kills met a living run.

A process of its own, with one thread: runs are forked from it, so that everything is imported and
compiled once.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

import winninghand as wh

RECIPE = {
    "network": {"name": "conv2", "width": 2, "input_size": 16},
    "domain": "gaussian",
    "compression": {"sparsity": 0.8, "fraction_per_round": 0.6},
    "training": {"epochs": 6, "batch_size": 16, "learning_rate": 0.05, "average": 0.9},
}
KILLS = 6


def images():
    generator = np.random.default_rng(0)
    labels = np.arange(160) % 2
    pixels = (generator.integers(0, 128, (160, 16, 16, 3)) + 127 * labels[:, None, None, None]).astype(
        "uint8"
    )
    return wh.ImageSet.from_arrays((pixels[:128], labels[:128]), (pixels[128:], labels[128:]), ["a", "b"])


def start(folder):
    child = os.fork()
    if child == 0:
        wh.train(RECIPE, images(), folder)
        os._exit(0)
    return child


def wait_for_new_checkpoint(path):
    before = path.stat().st_mtime_ns if path.exists() else 0
    while not path.exists() or path.stat().st_mtime_ns == before:
        time.sleep(0.001)


def main(folder):
    wh.train(RECIPE, images(), folder / "undisturbed")
    moments, killed = random.Random(0), 0
    for _ in range(KILLS):
        child = start(folder / "killed")
        wait_for_new_checkpoint(folder / "killed/checkpoint.pt")
        time.sleep(moments.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert os.waitpid(start(folder / "killed"), 0)[1] == 0
    sys.stdout.write(str(killed))


main(Path(sys.argv[1]))

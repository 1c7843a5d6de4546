"""A made-up ImageNet from end to end: streamed to two processes, killed, gone on with, measured.

Minutes, so that `make test` leaves it out: `make test-large`.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from drawn_imagenet import draw

CLASSES, IMAGES = 100, 50
MOST_BYTES = 1_500_000_000
RECIPE = {
    "network": "resnet18",
    "network.width": 8,
    "network.stem_stride": 4,
    "compression.method": "gmp",
    "compression.sparsity": 0.5,
    "training.epochs": 2,
    "training.batch_size": 60,
    "training.learning_rate": 0.1,
    "training.validation": 0.1,
    "training.precision": "32-true",
    "training.workers": 1,
    "training.checkpoint_minutes": 0.01,
}
pytestmark = [pytest.mark.slow, pytest.mark.large]


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet")
    draw(root, CLASSES, IMAGES)
    return root


def training(imagenet, out):
    """Return the command; both processes have one thread, and one thread that decodes."""
    changes = [word for key, value in RECIPE.items() for word in ("--set", f"{key}={value}".lower())]
    data = ["--data", imagenet, "--size", "224", "--stream"]
    return ["train", *data, "--out", out, "--devices", "2", "--device", "cpu", *changes]


def run(words, peaks, meanwhile=lambda processes: None):
    """Run a command and return its exit code and what it said; `peaks` gets each process's peak in bytes.

    `meanwhile` is told the command's processes by rank as often as they are looked at.
    """
    command = [sys.executable, "-m", "winninghand", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as started:
        while started.poll() is None:
            below = {rank_of(process): process for process in children(started.pid)}
            for rank, process in {None: started.pid, **below}.items():
                peaks[rank] = max(peaks.get(rank, 0), peak_of(process))
            meanwhile(below)
            time.sleep(0.05)
        return started.returncode, started.stderr.read()


def children(process):
    with suppress(OSError):
        return Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return []


def rank_of(process):
    with suppress(OSError):
        found = re.search(rb"\0RANK=(\d)\0", Path(f"/proc/{process}/environ").read_bytes())
        return int(found[1]) if found else None
    return None


def peak_of(process):
    """Return the most memory that a process, with its threads, has had at a time."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return 1024 * int(found[1]) if found else 0
    return 0


def test_two_processes_stream_it_are_killed_go_on_and_are_measured(imagenet, tmp_path, capfd):
    peaks = {}
    code, said = run(training(imagenet, tmp_path / "whole"), peaks)
    assert code == 0, said
    assert peaks.keys() == {None, 0, 1}

    cut = tmp_path / "cut"

    def kill(processes):
        if (cut / "checkpoint.pt").exists() and 1 in processes:
            os.kill(int(processes[1]), signal.SIGKILL)

    code, said = run(training(imagenet, cut), peaks, kill)
    assert code == 2
    assert "process 1 of 2 was killed (SIGKILL); run the same command again" in said.splitlines()[-1]
    assert not (cut / "metrics.csv").exists()  # so it was within the first epoch

    code, said = run(training(imagenet, cut), peaks)
    assert code == 0, said
    assert "going on from the middle of epoch 1 of 2" in said
    assert (cut / "card.card").read_bytes() == (tmp_path / "whole/card.card").read_bytes()

    table = tmp_path / "figures.json"
    card, measured = cut / "card.card", {}
    words = ["evaluate", card, "--data", imagenet, "--limit", CLASSES, "--severities", "3", "--json", table]
    code, said = run([*words, "--threads", 1], measured)
    assert code == 0, said
    figures = json.loads(table.read_text())
    assert figures["parameters"] == "imagenet-c"
    assert len(figures["cells"]) == 15 and figures["images"] == CLASSES
    with capfd.disabled():
        said = {"train": peaks, "evaluate": measured, "accuracy": figures["clean_accuracy"]}
        sys.stdout.write(f"\n{said}\n")
    assert figures["clean_accuracy"] > 3 / CLASSES  # two epochs teach little, and yet something
    assert max([*peaks.values(), *measured.values()]) < MOST_BYTES

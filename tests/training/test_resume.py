"""A run that is killed and started again ends with the same bytes as one that was never stopped."""

import os
import random
import signal
import subprocess
import sys
import time

RECIPE = """
network = {name = "conv2", width = 2}
domain = "gaussian"
[compression]
sparsity = 0.8
fraction_per_round = 0.6
[training]
epochs = 5
batch_size = 32
learning_rate = 0.05
average = 0.9
"""

KILLS = 5


def start(folder, recipe):
    program = "from winninghand.cli import main; main()"
    command = [sys.executable, "-c", program, "train", str(recipe), "--out", str(folder)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})


def wait_for_new_checkpoint(path, process):
    before = path.stat().st_mtime_ns if path.exists() else 0
    while process.poll() is None and (path.stat().st_mtime_ns if path.exists() else 0) == before:
        time.sleep(0.002)


def test_kills_leave_no_trace(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    undisturbed = start(tmp_path / "undisturbed", recipe)
    assert undisturbed.wait() == 0, undisturbed.stderr.read()

    moments = random.Random(0)
    folder = tmp_path / "killed"
    killed = 0
    for _ in range(KILLS):
        process = start(folder, recipe)
        wait_for_new_checkpoint(folder / "checkpoint.pt", process)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed == KILLS
    last = start(folder, recipe)
    assert last.wait() == 0, last.stderr.read()

    assert (folder / "card.card").read_bytes() == (tmp_path / "undisturbed/card.card").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.card",
        "checkpoint.pt",
        "metrics.csv",
        "run.json",
    ]

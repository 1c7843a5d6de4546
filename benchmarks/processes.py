"""What a second process brings to a training: images a second by one, by two, and by one of two threads.

    python -m benchmarks.processes [--width N] [--epochs N] [--rounds N]

A ResNet-18 on made-up images of 32 pixels, on the CPU, in turn. Of each way the fastest epoch counts. It
wants two idle cores, and takes about ten minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from winninghand.training import RunFolder

# Processes, threads of each, and whether batch-norms are over the images of all.
WAYS = {
    "one": (1, 1, True),
    "two": (2, 1, True),
    "two with norms of their own": (2, 1, False),
    "one of two threads": (1, 2, True),
}


def write_images(path: Path) -> None:
    """Write 4,096 training and 128 test images of ten classes, of noise."""
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 4096), ("test", 128)):
        arrays[f"{part}_images"] = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = np.arange(count) % 10
    np.savez(path, **arrays)


def images_per_second(data: Path, out: Path, processes: int, threads: int, settings: list[str]) -> float:
    """Return the speed of a training's fastest epoch."""
    asked = ["--device", "cpu", "--devices", str(processes), "--threads", str(threads)]
    changes = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-m", "winninghand", "train", "--data", data, "--out", out, *asked, *changes]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return max(row["images_per_second"] for row in RunFolder(out).read_metrics())


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings = [
        "network=resnet18",
        f"network.width={options.width}",
        f"training.epochs={options.epochs}",
        "training.batch_size=128",
        "training.precision=32-true",
        "training.validation=0.0",
        "training.learning_rate=0.01",
        "compression.method=dense",
    ]
    best = dict.fromkeys(WAYS, 0.0)
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "images.npz"
        write_images(data)
        for number in range(options.rounds):
            for way, (processes, threads, synchronised) in WAYS.items():
                out = Path(place) / f"{number}, {way}"
                norms = f"training.synchronised_norms={str(synchronised).lower()}"
                speed = images_per_second(data, out, processes, threads, [*settings, norms])
                best[way] = max(best[way], speed)
    found = {
        "images_per_second": {way: round(speed, 1) for way, speed in best.items()},
        **{
            f"{way}_over_{other}".replace(" ", "_"): round(best[way] / best[other], 3)
            for way in ("two", "two with norms of their own")
            for other in ("one", "one of two threads")
        },
        "load": os.getloadavg()[0],
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

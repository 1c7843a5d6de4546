"""What a Fourier heatmap and spectra of large images take, beside one evaluation by the same network.

    python -m benchmarks.heatmap_time [--size 224] [--width 32] [--images 16] [--rounds 3]

A ResNet-18 with ImageNet's stem plays made-up images on one thread, in turn: the 75 cells of ImageNet-C and
the clean one, and some of the lowest frequencies of a heatmap. From an image of each follows the whole: a
heatmap is 200 images under each frequency, an evaluation RobustBench's 5,000 images. The spectra are those of
a profile: 2,048 images, clean and augmented. It wants an idle core, and takes some minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from winninghand import network
from winninghand.augmentation import make_domain
from winninghand.evaluation import evaluate, fourier_heatmap, heatmap_shape
from winninghand.images import Split
from winninghand.spectra import half_plane
from winninghand.training.data import training_profile

LIMIT, EVALUATED, PROFILED = 200, 5_000, 2_048
CELLS = 76
SIDE, CLASSES = 13, 4


def main() -> None:
    """Print milliseconds an image, and the time of the whole."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--size", type=int, default=224)
    options.add_argument("--width", type=int, default=32)
    options.add_argument("--images", type=int, default=16)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (chosen.images, chosen.size, chosen.size, 3), dtype=np.uint8)
    split = Split(pixels, np.arange(chosen.images) % CLASSES)
    player = network("resnet18", width=chosen.width, stem_stride=4, classes=CLASSES)
    frequencies = len(half_plane(*heatmap_shape(split.size)))
    ways: dict[str, tuple[Callable[[], object], int, int]] = {
        "evaluation": (lambda: evaluate(player, split), CELLS, CELLS * EVALUATED),
        "heatmap": (
            lambda: fourier_heatmap(player, split, side=SIDE),
            1 + len(half_plane(SIDE, SIDE)),
            frequencies * LIMIT,
        ),
        "profile": (
            lambda: training_profile(make_domain("augmix"), split, 0, torch.device("cpu")),
            1,
            PROFILED,
        ),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(chosen.rounds):
        for name, (work, passes, _) in ways.items():
            begin = time.process_time()
            work()
            spent[name].append((time.process_time() - begin) / passes / chosen.images)
    table = Table(
        "what", "ms an image", "images", "minutes in all", "over an evaluation",
        title=f"ResNet-18 of width {chosen.width} at {chosen.size} pixels, one thread, processor time, "
        f"median of {chosen.rounds} rounds; torch {torch.__version__}",
    )  # fmt: skip
    whole = {name: median(spent[name]) * count for name, (_, _, count) in ways.items()}
    for name, (_, _, count) in ways.items():
        of_evaluation = whole[name] / whole["evaluation"]
        row = (1000 * median(spent[name]), count, whole[name] / 60, of_evaluation)
        table.add_row(name, f"{row[0]:.2f}", f"{row[1]:,}", f"{row[2]:.1f}", f"{row[3]:.2f}")
    Console(width=130).print(table)


if __name__ == "__main__":
    main()

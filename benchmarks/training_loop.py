"""The training loop against a bare PyTorch loop of the same network, batch and precision, in one run.

`bare` indexes a batch of resident images, normalises it and takes a step: forward, loss, backward,
SGD. `lrr` is the library's whole loop with 90% of the weights pruned (masks, schedule, metrics,
checkpoint) without augmentation; `lrr + clean` adds flip and crop. Rounds take turns, and the
ratios are of neighbours in time.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional

import winninghand as wh
from winninghand.augmentation.pixels import to_unit
from winninghand.images import ImageSet
from winninghand.recipe import make_recipe
from winninghand.training.batches import Batches
from winninghand.training.device import make_fabric
from winninghand.training.seeds import seed_of

BATCH = 128


def main() -> None:
    """Print seconds per step and the ratios."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--width", type=int, default=16)
    options.add_argument("--steps", type=int, default=60)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    images = _random_images(chosen.steps * BATCH)
    loops: dict[str, Callable[[], float]] = {
        "bare": lambda: _bare(images, chosen.width),
        "lrr": lambda: _library(images, chosen.width, {"name": "clean", "padding": 0, "flip": False}),
        "lrr + clean": lambda: _library(images, chosen.width, {"name": "clean"}),
    }
    for loop in loops.values():  # one round to warm up
        loop()
    rounds = [{name: loop() / chosen.steps for name, loop in loops.items()} for _ in range(chosen.rounds)]
    _print(rounds, chosen.width, chosen.steps)


def _random_images(count: int) -> ImageSet:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (count + 20, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(count + 20) % 10
    return ImageSet.from_arrays(
        (pixels[:count], labels[:count]),
        (pixels[count:], labels[count:]),
        [str(label) for label in range(10)],
    )


def _bare(images: ImageSet, width: int) -> float:
    """Return the seconds of one epoch of plain PyTorch."""
    fabric = make_fabric("auto")
    device = fabric.device
    network = wh.network("resnet18", width=width).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    batches = Batches(images.train, BATCH, device)
    mean = torch.full((3, 1, 1), 0.5, device=device)
    started = time.perf_counter()
    for pixels, labels in batches.epoch(seed_of(0)):
        with fabric.autocast():
            loss = functional.cross_entropy(network((to_unit(pixels) - mean) / mean), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    loss.item()
    return time.perf_counter() - started


def _library(images: ImageSet, width: int, domain: dict[str, object]) -> float:
    """Return the seconds of one epoch of the library's loop on a pruned network, by its own metrics."""
    table = {
        "network": {"name": "resnet18", "width": width},
        "domain": domain,
        "compression": {"method": "lrr", "sparsity": 0.9, "fraction_per_round": 0.9},
        "training": {"epochs": 1, "batch_size": BATCH, "held_out": 0.0, "learning_rate": 0.01},
    }
    with tempfile.TemporaryDirectory() as folder:
        wh.train(make_recipe(table), images, folder)
        rows = np.genfromtxt(f"{folder}/metrics.csv", delimiter=",", names=True)
    return float(rows["seconds"][-1])


def _print(rounds: list[dict[str, float]], width: int, steps: int) -> None:
    table = Table("loop", "ms per step (median)", "ratio to bare (median)", "lowest", "highest")
    for name in rounds[0]:
        ratios = [one[name] / one["bare"] for one in rounds]
        table.add_row(
            name,
            f"{1000 * statistics.median(one[name] for one in rounds):.1f}",
            f"{statistics.median(ratios):.3f}",
            f"{min(ratios):.3f}",
            f"{max(ratios):.3f}",
        )
    console = Console()
    console.print(
        f"resnet18, width {width}, batch {BATCH}, {steps} steps a round, {len(rounds)} rounds; "
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}"
    )
    console.print(table)


if __name__ == "__main__":
    main()

"""The training loop against a bare PyTorch loop of the same network, batch and precision, in one run.

`bare` indexes a batch of resident images, normalises it and takes a step: forward, loss, backward,
SGD. `lrr` is the library's whole loop with 90% of the weights pruned (masks, schedule, metrics,
checkpoint) without augmentation; `lrr + clean` adds flip and crop. Rounds take turns, and the
ratios are of neighbours in time.

The share of the device's peak counts the multiplications and additions of a dense forward and
backward pass. The peak is the maker's for dense bf16 where the device is known, and otherwise that
of one large matrix product in the same precision, measured here.

On a GPU: `--width 64 --batch 512 --compiled`, and `--network card_lrr` for RobustBench's of width 128.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import winninghand as wh
from winninghand.base.device import make_fabric, to_unit
from winninghand.images import ImageSet
from winninghand.recipe import make_recipe
from winninghand.training.data import ResidentSplit, seed_of

# FLOP/s of dense bf16 matrix products, by the makers' data sheets (SXM modules).
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


@dataclass(frozen=True)
class Work:
    """What all loops do."""

    network: str
    width: int | None
    batch: int
    steps: int
    compiled: bool

    @property
    def architecture(self) -> dict[str, object]:
        """The network as a recipe names it."""
        return {"name": self.network} | ({} if self.width is None else {"width": self.width})

    def make_network(self) -> nn.Module:
        """Return the network."""
        return wh.network(**self.architecture)

    def operations(self) -> int:
        """Return the floating-point operations of a step's forward and backward pass."""
        network, images = self.make_network(), torch.rand(1, 3, 32, 32)
        with FlopCounterMode(display=False) as counter:
            network(images).sum().backward()
        return self.batch * int(counter.get_total_flops())


def main() -> None:
    """Print seconds per step, the ratios, and the share of the device's peak."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--network", default="resnet18")
    options.add_argument("--width", type=int, help="16 for resnet18 unless given")
    options.add_argument("--batch", type=int, default=128)
    options.add_argument("--steps", type=int, default=60)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--compiled", action="store_true")
    chosen = vars(options.parse_args())
    rounds = chosen.pop("rounds")
    if chosen["network"] == "resnet18" and chosen["width"] is None:
        chosen["width"] = 16
    work = Work(**chosen)
    images = _random_images(work.steps * work.batch)
    loops: dict[str, Callable[[], float]] = {
        "bare": lambda: _bare(images, work),
        "lrr": lambda: _library(images, work, {"name": "clean", "padding": 0, "flip": False}),
        "lrr + clean": lambda: _library(images, work, {"name": "clean"}),
    }
    for loop in loops.values():  # one round to warm up
        loop()
    _print([{name: loop() / work.steps for name, loop in loops.items()} for _ in range(rounds)], work)


def _random_images(count: int) -> ImageSet:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (count + 20, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(count + 20) % 10
    return ImageSet.from_arrays(
        (pixels[:count], labels[:count]),
        (pixels[count:], labels[count:]),
        [str(label) for label in range(10)],
    )


def _bare(images: ImageSet, work: Work) -> float:
    """Return the seconds of one epoch of plain PyTorch."""
    fabric = make_fabric("auto")
    device = fabric.device
    network = work.make_network().to(device).to(memory_format=torch.channels_last)
    module = torch.compile(network) if work.compiled else network
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    batches = ResidentSplit(images.train, work.batch, device)
    mean = torch.full((3, 1, 1), 0.5, device=device)
    started = time.perf_counter()
    for pixels, labels in batches.epoch(seed_of(0)):
        with fabric.autocast():
            loss = functional.cross_entropy(module((to_unit(pixels) - mean) / mean), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    loss.item()
    return time.perf_counter() - started


def _library(images: ImageSet, work: Work, domain: dict[str, object]) -> float:
    """Return the seconds of one epoch of the library's loop on a pruned network, by its own metrics."""
    table = {
        "network": work.architecture,
        "domain": domain,
        "compression": {"method": "lrr", "sparsity": 0.9, "fraction_per_round": 0.9},
        "training": {
            "epochs": 1,
            "batch_size": work.batch,
            "validation": 0.0,
            "learning_rate": 0.01,
            "compiled": work.compiled,
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        wh.train(make_recipe(table), images, folder)
        rows = np.genfromtxt(f"{folder}/metrics.csv", delimiter=",", names=True)
    return float(rows["seconds"][-1])


def _peak(fabric: Fabric) -> tuple[float, str]:
    """Return the most operations per second that the device does, and where that is from."""
    device = fabric.device
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for known, peak in PEAKS.items():
            if known in name:
                return peak, f"the {known}'s data sheet"
    side, best = 2048, float("inf")
    left, right = torch.rand(2, side, side, device=device)
    for _ in range(5):
        started = time.perf_counter()
        with fabric.autocast():
            (left @ right).sum().item()
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best, f"the best of five products of {side} × {side} matrices"


def _print(rounds: list[dict[str, float]], work: Work) -> None:
    fabric = make_fabric("auto")
    peak, source = _peak(fabric)
    table = Table(
        "loop", "ms per step (median)", "ratio to bare (median)", "lowest", "highest", "images/s", "of peak"
    )
    for name in rounds[0]:
        ratios = [one[name] / one["bare"] for one in rounds]
        seconds = statistics.median(one[name] for one in rounds)
        table.add_row(
            name,
            f"{1000 * seconds:.1f}",
            f"{statistics.median(ratios):.3f}",
            f"{min(ratios):.3f}",
            f"{max(ratios):.3f}",
            f"{work.batch / seconds:,.0f}",
            f"{work.operations() / seconds / peak:.1%}",
        )
    console = Console(width=140)
    console.print(
        f"{work.architecture}, batch {work.batch}, {'compiled, ' if work.compiled else ''}"
        f"{work.steps} steps a round, {len(rounds)} rounds; "
        f"{platform.processor() or platform.machine()}, {fabric.device}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}"
    )
    console.print(f"peak {peak / 1e12:.3g} TFLOP/s by {source}")
    console.print(table)


if __name__ == "__main__":
    main()

"""RobustBench's CARD checkpoints, of its own classes and pruned to 95%: sizes and outputs once imported.

Needs RobustBench, as `make test-robustbench` installs it; its published weights are not downloaded.
"""

from __future__ import annotations

import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import winninghand as wh
from benchmarks.robustbench_zoo import model_zoos
from winninghand.cards.importing import Import
from winninghand.decks.importing import import_model

FAMILIES = {
    "LRR card": ("Diffenderfer2021CARD", "card_lrr"),
    "binary card": ("Diffenderfer2021CARD_Binary", "card_binary"),
    "LRR deck": ("Diffenderfer2021CARD_Deck", "card_lrr"),
    "binary deck": ("Diffenderfer2021CARD_Deck_Binary", "card_binary"),
}


def main() -> None:
    """Print a row per family and data set."""
    torch.set_num_threads(1)
    zoos = model_zoos()
    table = Table(title=f"{platform.machine()}, 1 thread, n = 1; random weights, 95% global magnitude")
    for column in ("entry", "classes", "checkpoint bytes", "file bytes", "ratio", "difference", "load s"):
        table.add_column(column, justify="left" if column == "entry" else "right")
    for entry, (name, architecture) in FAMILIES.items():
        for data in ("cifar10", "cifar100"):
            theirs = getattr(zoos[data], name)()
            table.add_row(entry, *_row(theirs, architecture))
    Console().print(table)


def _row(theirs: Any, architecture: str) -> list[str]:  # noqa: ANN401 (RobustBench is untyped)
    """Return classes, sizes, ratio, largest difference of the outputs over their std, seconds."""
    members = list(getattr(theirs, "models", [theirs]))
    for member in members:
        _prune(member, binary=architecture == "card_binary")
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    theirs.train()(images)  # running statistics that are not those of a fresh network
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        checkpoint, file = Path(folder) / "theirs.pt", Path(folder) / "ours"
        torch.save(theirs.state_dict(), checkpoint)
        import_model([checkpoint], Import(architecture)).save(file)
        start = time.perf_counter()
        ours = wh.load(file)
        seconds = time.perf_counter() - start
        found, expected = ours(images), theirs.eval()(images)
        found = found if len(members) == 1 else found.exp()
        difference = float((found - expected).abs().max() / expected.std())
        before, after = checkpoint.stat().st_size, file.stat().st_size
    figures = [f"{before:,}", f"{after:,}", f"{before / after:.1f}", f"{difference:.1e}", f"{seconds:.2f}"]
    return [str(len(ours.classes)), *figures]


@torch.no_grad()
def _prune(module: nn.Module, binary: bool) -> None:
    """Keep the largest 5% of all weights of convolutions and head; binary: one magnitude per layer."""
    weights = [part.weight for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights])
    threshold = magnitudes.kthvalue(int(0.95 * len(magnitudes))).values
    for weight in weights:
        kept = weight.abs() > threshold
        weight.copy_(weight.sign() * weight.abs()[kept].mean().nan_to_num() if binary else weight)
        weight.mul_(kept)


if __name__ == "__main__":
    main()

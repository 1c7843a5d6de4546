"""100,000 damaged card files: each must load to the very same network or be refused in one line."""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from benchmarks.damage import DAMAGES
from rich.console import Console
from rich.table import Table
from torch import Tensor

from winninghand.cards.container import Container, read_container, write_container
from winninghand.errors import InputError

FILES = 100_000
OUTCOMES = ("refused", "exact", "changed", "crashed")


def main() -> None:
    """Print how many files of each damage were refused, loaded exactly, changed, or crashed the reader."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FILES
    torch.set_num_threads(1)
    chance = random.Random(0)
    outcomes: Counter[tuple[str, str]] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.card"
        wholes = [_written(path, seed) for seed in (1, 2)]
        original = _read(path, wholes[0])
        _read(path, wholes[1])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(count):
            damage = DAMAGES[number % len(DAMAGES)]
            path.write_bytes(damage(*wholes, chance))
            start = time.perf_counter()
            outcomes[damage.__name__, _outcome(path, original)] += 1
            slowest = max(slowest, time.perf_counter() - start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    _print(outcomes, count, f"slowest {slowest:.3f} s, memory grew by {grown:.0f} MiB at most")


def _tensors(seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return a small network's tensors, of every kind there is, and scales."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(32, 16, 3, 3, generator=generator)
    weight *= torch.rand(weight.shape, generator=generator) < torch.rand(32, 1, 1, 1, generator=generator) / 5
    levels = torch.randint(-7, 8, (10, 32), generator=generator).float()
    scales = torch.rand(10, generator=generator) + 0.1
    tensors = {
        "first.weight": weight + 0.0,
        "second.weight": weight.sign() * 0.05 + 0.0,
        "half.weight": weight.half() + 0.0,
        "linear.weight": levels * scales[:, None] + 0.0,
        "linear.bias": torch.randn(10, generator=generator),
        "norm.running_var": torch.rand(32, generator=generator),
        "norm.num_batches_tracked": torch.tensor(1000 + seed),
    }
    return tensors, {"linear.weight": scales}


def _written(path: Path, seed: int) -> bytes:
    """Return the bytes of a small card file."""
    tensors, scales = _tensors(seed)
    header = {"classes": ["cat", "dog"], "mean": [0.1 * seed, 0.2, 0.3], "input_size": [32, 32]}
    write_container(path, header, tensors, [name for name in tensors if name.endswith("weight")], scales)
    return path.read_bytes()


def _read(path: Path, whole: bytes) -> Container:
    """Return the container that these bytes hold."""
    path.write_bytes(whole)
    return read_container(path)


def _outcome(path: Path, original: Container) -> str:
    """Return what reading a damaged file came to."""
    try:
        found = read_container(path)
    except InputError as error:
        return "refused" if "\n" not in str(error) else "crashed"
    except Exception:
        return "crashed"
    return "exact" if _alike(found, original) else "changed"


def _alike(found: Container, original: Container) -> bool:
    """Tell whether two containers hold the same header and the same tensors, bit by bit."""
    if found.header != original.header or list(found.tensors) != list(original.tensors):
        return False
    pairs = [(found.tensors[name], tensor) for name, tensor in original.tensors.items()]
    pairs += [(found.scales.get(name, torch.empty(0)), scale) for name, scale in original.scales.items()]
    return all(one.dtype == other.dtype and torch.equal(one, other) for one, other in pairs)


def _print(outcomes: Counter[tuple[str, str]], count: int, note: str) -> None:
    """Print outcomes by damage."""
    table = Table(title=f"{count:,} damaged card files; {note}")
    table.add_column("damage")
    for outcome in OUTCOMES:
        table.add_column(outcome, justify="right")
    for damage in DAMAGES:
        name = damage.__name__
        table.add_row(name.replace("_", " "), *(f"{outcomes[name, outcome]:,}" for outcome in OUTCOMES))
    totals = (sum(outcomes[damage.__name__, outcome] for damage in DAMAGES) for outcome in OUTCOMES)
    table.add_row("all", *(f"{total:,}" for total in totals))
    Console().print(table)


if __name__ == "__main__":
    main()

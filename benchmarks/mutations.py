"""100,000 damaged files: each must load to the very same network or be refused in one line.

`python -m benchmarks.mutations [COUNT] [card|deck]`: cards or decks, through `wh.load`.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.damage import DAMAGES
from benchmarks.mutated_files import KINDS, Kind
from winninghand.base.errors import InputError

FILES = 100_000
OUTCOMES = ("refused", "exact", "changed", "crashed")


def main() -> None:
    """Print how many files of each damage were refused, loaded exactly, changed, or crashed the reader."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FILES
    kind = KINDS[sys.argv[2] if len(sys.argv) > 2 else "card"]
    torch.set_num_threads(1)
    chance = random.Random(0)
    outcomes: Counter[tuple[str, str]] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged"
        wholes = []
        for seed in (2, 1):
            kind.write(path, seed)
            wholes.append(path.read_bytes())
            original = kind.read(path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(count):
            damage = DAMAGES[number % len(DAMAGES)]
            path.write_bytes(damage(wholes[1], wholes[0], chance))
            start = time.perf_counter()
            outcomes[damage.__name__, _outcome(path, kind, original)] += 1
            slowest = max(slowest, time.perf_counter() - start)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    _print(outcomes, count, f"slowest {slowest:.3f} s, memory grew by {grown:.0f} MiB at most")


def _outcome(path: Path, kind: Kind, original: object) -> str:
    """Return what reading a damaged file came to."""
    try:
        found = kind.read(path)
    except InputError as error:
        return "refused" if "\n" not in str(error) else "crashed"
    except Exception:
        return "crashed"
    return "exact" if kind.alike(found, original) else "changed"


def _print(outcomes: Counter[tuple[str, str]], count: int, note: str) -> None:
    """Print outcomes by damage."""
    table = Table(title=f"{count:,} damaged files; {note}")
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

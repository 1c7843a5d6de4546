"""Commands that are killed, run on a full disk, or run twice at once: the work goes on, and ends the same.

Each command runs in a fork of this process, which has imported everything once.
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

from benchmarks.faults.kinds import STUDY, some_card
from winninghand.cli import main

_RECIPE = """\
network = {name = "conv2", width = 2, input_size = 16}
[compression]
method = "lrr"
sparsity = 0.5
fraction_per_round = 0.3
[training]
epochs = 2
batch_size = 32
"""
# Files that say when and where something ran, and hold no result.
_OF_THE_MOMENT = ("run.json", "log.md")
_COLUMNS_OF_THE_MOMENT = {"seconds", "images_per_second"}

COMMANDS: dict[str, tuple[str, ...]] = {
    "train": ("train", "recipe.toml", "--data", "few.npz", "--out", "out/run"),
    "study": ("study", "study.toml", "--data", "few.npz", "--out", "out"),
    "corrupt": ("corrupt", "--data", "few.npz", "--out", "out", "--corruptions", "fog,contrast,snow"),
    "deck": ("deck", "out/a.deck", "0.card", "1.card", "--data", "few.npz", "--gate", "spectral"),
    "evaluate": (
        *("evaluate", "0.card", "--data", "few.npz", "--corruptions", "fog,contrast"),
        *("--json", "out/a.json", "--cells", "out/a.csv"),
    ),
    "export": ("export", "0.card", "out/a.safetensors"),
}


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, negative for a signal, its standard error, and its renames."""

    code: int
    errors: str
    renames: int
    seconds: float


def lay_out(place: Path) -> None:
    """Make what the commands read: a few images, two cards, a recipe and a study."""
    chance = np.random.default_rng(0)
    parts = {"classes": np.array(["a", "b", "c"])}
    for split, count in (("train", 96), ("test", 24)):
        parts[f"{split}_images"] = chance.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
        parts[f"{split}_labels"] = np.arange(count) % 3
    np.savez(place / "few.npz", **parts)
    for seed in (0, 1):
        some_card(seed).save(place / f"{seed}.card")
    (place / "recipe.toml").write_text(_RECIPE)
    plain = STUDY.partition("[zoo]")[0]
    (place / "study.toml").write_text(plain.replace("width = 2", "width = 2, input_size = 16"))


def start(
    place: Path, command: str, die_at: int | None = None, before: bool = True, largest: int | None = None
) -> int:
    """Start a command in the folder `place`; return the process.

    It kills itself before or after rename number `die_at`. No file may have more than `largest` bytes.
    """
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.chdir(place)
        handle = os.open(f"{command}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        _count_renames(die_at, before, place / f"{command}.renames")
        sys.argv = ["winninghand", *COMMANDS[command]]
        main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0
    finally:
        os._exit(code)


def _count_renames(die_at: int | None, before: bool, record: Path) -> None:
    replace, done = os.replace, 0

    def counted(*args: object, **options: object) -> None:
        nonlocal done
        if before and done == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*args, **options)  # type: ignore[arg-type]
        if not before and done == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        if die_at is None:
            record.write_text(str(done))

    os.replace = counted


def finish(place: Path, command: str, child: int, seconds: float = 120) -> Ended:
    """Wait for a command, and kill it where it hangs."""
    begun = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        spent = time.monotonic() - begun
        if done:
            break
        if spent > seconds:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    code = os.waitstatus_to_exitcode(status)
    record = place / f"{command}.renames"
    renames = int(record.read_text()) if record.exists() else 0
    return Ended(code, (place / f"{command}.err").read_text(errors="replace"), renames, spent)


def run(place: Path, command: str, **how: object) -> Ended:
    """Run a command to its end."""
    (place / f"{command}.renames").unlink(missing_ok=True)
    return finish(place, command, start(place, command, **how))  # type: ignore[arg-type]


def results(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by their paths, without what differs from one moment to the next."""
    return {
        str(path.relative_to(folder)): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _OF_THE_MOMENT
    }


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.name == "metrics.csv":
        rows = list(csv.DictReader(content.decode().splitlines()))
        kept = [{key: row[key] for key in row if key not in _COLUMNS_OF_THE_MOMENT} for row in rows]
        return json.dumps(kept).encode()
    if path.suffix in (".pt", ".parquet", ".json") and path.name in (
        "checkpoint.pt",
        "cells.parquet",
        "rewind.pt",
    ):
        return b"there"  # these hold times, too; what is made of them is compared
    return content


class Campaign:
    """Counts what commands came to, and collects what was wrong."""

    def __init__(self, title: str, columns: Sequence[str]) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.faults: list[str] = []
        self.columns = tuple(columns)
        self.title = title

    def fault(self, command: str, what: str, where: str) -> None:
        """Count a fault."""
        self.counts[command][what] += 1
        self.faults.append(f"{command}, {where}: {what}")

    def check(self, place: Path, command: str, expected: dict[str, bytes], ended: Ended, where: str) -> None:
        """Compare what a command that ended well left with what it leaves undisturbed."""
        if ended.code != 0:
            self.fault(command, "crashed", f"{where}: exit {ended.code}: {ended.errors[-300:]!r}")
            return
        found = results(place / "out")
        left = sorted(found.keys() - expected.keys())
        if left:
            self.fault(command, "left over", f"{where}: {left[:3]}")
        differing = sorted(name for name in expected if found.get(name) != expected[name])
        if differing:
            self.fault(command, "changed", f"{where}: {differing[:3]}")
        if not left and not differing:
            self.counts[command]["equal"] += 1

    def table(self) -> tuple[Table, list[str]]:
        """Return the counts by command, and the faults."""
        table = Table("command", *self.columns, title=self.title)
        for command, counts in self.counts.items():
            table.add_row(command, *(f"{counts[column]:,}" for column in self.columns))
        return table, self.faults


Part = Callable[[Campaign, Path, str, dict[str, bytes], Ended, int, random.Random], None]


def _campaign(
    title: str, columns: Sequence[str], part: Part, standard: int
) -> Callable[..., tuple[Table, list[str]]]:
    def carried_out(names: Sequence[str] | None, count: int | None, seed: int) -> tuple[Table, list[str]]:
        torch.set_num_threads(1)
        campaign = Campaign(f"{title}, seed {seed}", columns)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            os.environ["WINNINGHAND_CACHE"] = str(place / "cache")
            lay_out(place)
            for command in names or COMMANDS:
                campaign.counts[command] = Counter()
                run(place, command)  # what is compiled and cached once is so now
                _clear(place)
                undisturbed = run(place, command)
                expected = results(place / "out")
                if undisturbed.code:
                    raise RuntimeError(f"{command} undisturbed: {undisturbed.errors[-500:]}")
                part(
                    campaign,
                    place,
                    command,
                    expected,
                    undisturbed,
                    count or standard,
                    random.Random(f"{seed} {command}"),
                )
                print(f"{command}: {dict(campaign.counts[command])}", file=sys.stderr, flush=True)
        return campaign.table()

    return carried_out


def _clear(place: Path) -> None:
    shutil.rmtree(place / "out", ignore_errors=True)
    (place / "out").mkdir()


def _kill(
    campaign: Campaign,
    place: Path,
    command: str,
    expected: dict[str, bytes],
    undisturbed: Ended,
    count: int,
    chance: random.Random,
) -> None:
    """Kill at renames, before and after each, and at as many random moments; half of those by Ctrl-C."""
    places = range(2 * undisturbed.renames)
    for number in places if len(places) <= count else sorted(chance.sample(places, count)):
        _clear(place)
        run(place, command, die_at=number // 2, before=number % 2 == 0)
        campaign.counts[command]["killed at a rename"] += 1
        campaign.check(place, command, expected, run(place, command), f"rename {number}")
    for number in range(count):
        _clear(place)
        where = chance.uniform(0, undisturbed.seconds)
        child = start(place, command)
        time.sleep(where)
        interrupted = number % 2 == 1
        os.kill(child, signal.SIGINT if interrupted else signal.SIGKILL)
        ended = finish(place, command, child)
        campaign.counts[command]["interrupted" if interrupted else "killed"] += 1
        if interrupted and ended.code not in (0, 130):
            campaign.fault(
                command, "crashed", f"Ctrl-C at {where:.3f} s: exit {ended.code}: {ended.errors[-300:]!r}"
            )
        campaign.check(place, command, expected, run(place, command), f"moment {number}, {where:.3f} s")


def _fill(
    campaign: Campaign,
    place: Path,
    command: str,
    expected: dict[str, bytes],
    undisturbed: Ended,
    count: int,
    chance: random.Random,
) -> None:
    """Run on a small disk, or where none can be mounted with small files only; then make room and go on."""
    total = sum(path.stat().st_size for path in (place / "out").rglob("*") if path.is_file())
    largest = max(path.stat().st_size for path in (place / "out").rglob("*") if path.is_file())
    for number in range(count):
        _clear(place)
        size = int(chance.uniform(4096, 1.3 * total))
        mounted = number % 2 == 0 and _mounted(place / "out", size)
        before = {str(path) for path in place.rglob("*")}
        ended = run(place, command, largest=None if mounted else max(1, int(chance.uniform(0, largest))))
        campaign.counts[command]["small disk" if mounted else "small files"] += 1
        said = [line for line in ended.errors.splitlines() if line.startswith("winninghand: ")]
        where = f"number {number}, {size:,} bytes"
        if ended.code not in (0, 2) or (ended.code == 2 and len(said) != 1):
            campaign.fault(command, "crashed", f"{where}: exit {ended.code}: {ended.errors[-300:]!r}")
        elif ended.code == 2:
            campaign.counts[command]["refused"] += 1
            left = {str(path) for path in place.rglob(".*.tmp*")} - before
            if left:
                campaign.fault(command, "left over", f"{where}: {sorted(left)[:3]}")
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=256m", place / "out"], check=True)
        campaign.check(place, command, expected, run(place, command), where)
        if mounted:
            subprocess.run(["umount", place / "out"], check=True)


def _mounted(folder: Path, size: int) -> bool:
    """Say whether a small disk could be mounted on a folder, as only an administrator may."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def _race(
    campaign: Campaign,
    place: Path,
    command: str,
    expected: dict[str, bytes],
    undisturbed: Ended,
    count: int,
    chance: random.Random,
) -> None:
    """Let two processes do the same work at once, the second a little later."""
    for number in range(count):
        _clear(place)
        first = start(place, command)
        time.sleep(chance.uniform(0, undisturbed.seconds) if number else 0)
        second = start(place, command)
        endings = [finish(place, command, child) for child in (first, second)]
        campaign.counts[command]["pairs"] += 1
        for ended in endings:
            if ended.code:
                campaign.fault(
                    command, "crashed", f"pair {number}: exit {ended.code}: {ended.errors[-300:]!r}"
                )
        campaign.check(place, command, expected, endings[-1], f"pair {number}")


_FAULTS = ("equal", "changed", "crashed", "left over")
PARTS = {
    "kill": _campaign(
        "killed, and run again", ("killed at a rename", "killed", "interrupted", *_FAULTS), _kill, 200
    ),
    "fill": _campaign(
        "full disks, then room", ("small disk", "small files", "refused", *_FAULTS), _fill, 100
    ),
    "race": _campaign("two at once", ("pairs", *_FAULTS), _race, 50),
}
"""Each part by its name: takes commands, a count and a seed; returns its table and its faults."""

"""Commands that are killed, run on a full disk, or run twice at once: the work goes on, and ends the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.table import Table

from benchmarks.faults.commands import COMMANDS, OUTSIDE, Ended, finish, lay_out, results, run, start, warm_up


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
                _clear(place)
                warm_up(place, command)
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
    """Kill at renames, before and after each, and at as many random moments; half of those by Ctrl-C.

    A kill that comes too late, as where the machine was busy when the command was timed, is made up for.
    """
    places = range(2 * undisturbed.renames)
    for number in places if len(places) <= count else sorted(chance.sample(places, count)):
        _clear(place)
        ended = run(place, command, die_at=number // 2, before=number % 2 == 0)
        campaign.counts[command]["killed at a rename" if ended.code == -signal.SIGKILL else "too late"] += 1
        campaign.check(place, command, expected, run(place, command), f"rename {number}")
    counts, number = campaign.counts[command], 0
    while counts["killed"] + counts["interrupted"] < count and number < 3 * count:
        _clear(place)
        where = chance.uniform(0, undisturbed.seconds)
        child = start(place, command)
        time.sleep(where)
        interrupted = number % 2 == 1
        os.kill(child, signal.SIGINT if interrupted else signal.SIGKILL)
        ended = finish(place, command, child)
        counts[{-signal.SIGKILL: "killed", 130: "interrupted"}.get(ended.code, "too late")] += 1
        said = ended.errors.count("winninghand: interrupted; ")
        if interrupted and (ended.code not in (0, 130, OUTSIDE) or said != (ended.code == 130)):
            where_and_what = f"Ctrl-C at {where:.3f} s: exit {ended.code}: {ended.errors[-300:]!r}"
            campaign.fault(command, "crashed", where_and_what)
        campaign.check(place, command, expected, run(place, command), f"moment {number}, {where:.3f} s")
        number += 1


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
            subprocess.run(["umount", "--lazy", place / "out"], check=True)


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
        "killed, and run again",
        ("killed at a rename", "killed", "interrupted", "too late", *_FAULTS),
        _kill,
        200,
    ),
    "fill": _campaign(
        "full disks, then room", ("small disk", "small files", "refused", *_FAULTS), _fill, 100
    ),
    "race": _campaign("two at once", ("pairs", *_FAULTS), _race, 50),
}
"""Each part by its name: takes commands, a count and a seed; returns its table and its faults."""

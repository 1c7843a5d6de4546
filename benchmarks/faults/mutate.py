"""Damaged and crafted files: each is read as what it is, or refused in one line, soon, in little memory.

A child process reads one case after the other; this one watches it, and starts another where it dies.
"""

from __future__ import annotations

import os
import random
import resource
import select
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.faults.damage import DAMAGES, Damage
from benchmarks.faults.kinds import KINDS, Kind
from winninghand.base.errors import InputError

OUTCOMES = ("refused", "equal", "other", "changed", "crashed", "hung", "over memory")
"""`other` is a whole other file: a stranger's, with right checksums, or of a format without any."""

FAULTS = OUTCOMES[3:]
SECONDS, MEBIBYTES = 5.0, 1024
"""How much time of a processor and how much memory a case may take."""

IDLE = 120.0
"""How many seconds a case may take at all; a busy machine makes every case slow."""

_SECONDS_TO_START = 600.0
_BROKEN = "broken: "
# What stops a process before it takes the machine with it.
_MOST_MEBIBYTES = 4096


@dataclass(frozen=True)
class Case:
    """What became of one damaged file."""

    number: int
    damage: str
    outcome: str
    seconds: float
    mebibytes: int
    note: str = ""


def cases(name: str, seed: int, numbers: range) -> Iterator[Case]:
    """Yield what becomes of the damaged files of a kind; the same seed and number give the same file."""
    first = numbers.start
    while first < numbers.stop:
        for case in _watched(name, seed, range(first, numbers.stop)):
            first = case.number + 1
            yield case


def _watched(name: str, seed: int, numbers: range) -> Iterator[Case]:
    """Yield the cases of one child, the last one perhaps the one that it died or hung of."""
    reading, writing = os.pipe()
    folder = tempfile.TemporaryDirectory()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(name, seed, numbers, writing, Path(folder.name))
    os.close(writing)
    number, rest, started = numbers.start, b"", False
    try:
        while number < numbers.stop:
            ended = _heard_or_overdue(child, reading, IDLE if started else _SECONDS_TO_START)
            content = b"" if ended == "hung" else os.read(reading, 65536)
            if not content and not started:
                raise RuntimeError(f"no case of {name} could be read: the example cannot be")
            if not content:
                damage, outcome = _damage(KINDS[name], number).__name__, ended or "crashed"
                yield Case(number, damage, outcome, SECONDS, 0, "the process was ended, or ended")
                return
            started = True
            *lines, rest = (rest + content).split(b"\n")
            for line in lines:
                if line.startswith(_BROKEN.encode()):
                    raise RuntimeError(f"after case {number} of {name}: {line.decode()}")
                if line:
                    at, damage, outcome, seconds, mebibytes, note = line.decode().split("\t", 5)
                    yield Case(int(at), damage, outcome, float(seconds), int(mebibytes), note)
                    number = int(at) + 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        folder.cleanup()


def _heard_or_overdue(child: int, reading: int, seconds: float) -> str:
    """Wait until a child writes or ends; return "hung" where it takes too much time instead."""
    begun, worked = time.monotonic(), _processor_seconds(child)
    while not select.select([reading], [], [], 0.2)[0]:
        if time.monotonic() - begun > seconds:
            return "hung"
        if seconds == IDLE and _processor_seconds(child) - worked > SECONDS + 0.5:
            return "hung"
    return ""


def _processor_seconds(process: int) -> float:
    """Return how long processors have worked for a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _work(name: str, seed: int, numbers: range, writing: int, folder: Path) -> None:
    """Read damaged files, a line to the pipe for each; never return."""
    try:
        torch.set_num_threads(1)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        os.environ["WINNINGHAND_CACHE"] = str(folder / "none/of/it")
        (folder / "none").touch()  # so that nothing is kept, and no case helps the next
        subject = Subject(KINDS[name], folder)
        size = _of_process("VmSize")
        limit = (size + _MOST_MEBIBYTES) << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        os.write(writing, b"\n")
        for number in numbers:
            case = subject.case(seed, number)
            words = (case.number, case.damage, case.outcome, f"{case.seconds:.3f}", case.mebibytes)
            note = " ".join(case.note.split())[:300]
            os.write(writing, "\t".join((*map(str, words), note)).encode("utf-8", "replace") + b"\n")
    except BaseException:  # of the campaign itself, not of what it reads
        os.write(writing, f"\n{_BROKEN}{traceback.format_exc()!r}\n".encode("utf-8", "replace"))
    finally:
        os._exit(0)


class Subject:
    """Examples of one kind in a folder, damaged one case after the other."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind, self.folder = kind, folder / "case"
        self._wholes = []
        for seed in (2, 1):
            self._example = folder / f"example{seed}"
            self._example.mkdir()
            kind.write(self._example / kind.name, seed)
            self._wholes.append((self._example / kind.name).read_bytes())
        shutil.copytree(self._example, self.folder)
        self._original = kind.read(self.folder / kind.name)
        self._before = _of_process("VmRSS")

    def content(self, seed: int, number: int) -> bytes:
        """Return the bytes of a case."""
        chance = random.Random(f"{seed} {self.kind.name} {number}")
        return _damage(self.kind, number)(self._wholes[1], self._wholes[0], chance)

    def case(self, seed: int, number: int) -> Case:
        """Read the file of a case, and say what that came to."""
        content, damage = self.content(seed, number), _damage(self.kind, number)
        self._lay_out(content)
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        start, note = time.process_time(), ""
        try:
            same = self.kind.read(self.folder / self.kind.name) == self._original
            whole_by_checksum = self.kind.sealed and damage in DAMAGES
            outcome = "equal" if same else "changed" if whole_by_checksum else "other"
        except InputError as error:
            outcome, note = "refused" if "\n" not in str(error) else "crashed", str(error)
        except MemoryError:
            outcome = "over memory"
        except BaseException as error:
            outcome, note = "crashed", f"{type(error).__name__}: {error} {traceback.format_exc()[-150:]}"
        seconds, grown = time.process_time() - start, _of_process("VmHWM") - self._before
        if grown > MEBIBYTES:
            outcome = "over memory"
        elif seconds > SECONDS:
            outcome = "hung"
        return Case(number, damage.__name__, outcome, seconds, grown, note)

    def _lay_out(self, content: bytes) -> None:
        if {path.name for path in self.folder.iterdir()} != {path.name for path in self._example.iterdir()}:
            shutil.rmtree(self.folder)
            shutil.copytree(self._example, self.folder)
        (self.folder / self.kind.name).write_bytes(content)


def _damage(kind: Kind, number: int) -> Damage:
    """Return the damage of a case; half of the cases are crafted where the kind knows how."""
    if kind.crafted and number % 2:
        return kind.crafted[number // 2 % len(kind.crafted)]
    return DAMAGES[(number // 2 if kind.crafted else number) % len(DAMAGES)]


def _of_process(key: str) -> int:
    """Return a figure of this process's memory in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) >> 10
    return 0


class Tally:
    """Counts of a kind's outcomes."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.faults = 0
        self.slowest = 0.0
        self.mebibytes = 0

    def add(self, case: Case) -> None:
        """Count a case."""
        self.counts[case.damage, case.outcome] += 1
        self.faults += case.outcome in FAULTS
        self.slowest, self.mebibytes = max(self.slowest, case.seconds), max(self.mebibytes, case.mebibytes)

    def row(self, damage: str | None = None) -> list[str]:
        """Return the counts by outcome, of one damage or of all."""
        found: Counter[str] = Counter()
        for (name, outcome), count in self.counts.items():
            found[outcome] += count if damage in (None, name) else 0
        return [f"{found[outcome]:,}" for outcome in OUTCOMES]

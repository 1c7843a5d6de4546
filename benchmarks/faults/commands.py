"""The commands of the campaign, each in a fork of this process, which has imported everything once."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.faults.examples import STUDY, some_network, with_profile
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
    parts: dict[str, Any] = {"classes": np.array(["a", "b", "c"])}
    for split, count in (("train", 96), ("test", 24)):
        parts[f"{split}_images"] = chance.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
        parts[f"{split}_labels"] = np.arange(count) % 3
    np.savez(place / "few.npz", **parts)
    for seed in (0, 1):
        network = some_network(seed, "conv2", width=2, input_size=16)
        with_profile(network).save(place / f"{seed}.card")
    (place / "recipe.toml").write_text(_RECIPE)
    plain = STUDY.partition("[zoo]")[0].replace("[0.5, 0.6]", "[0.5]")
    (place / "study.toml").write_text(plain.replace("width = 2", "width = 2, input_size = 16"))


def warm_up(place: Path, command: str) -> None:
    """Run a command in this process, so that its forks have what it imports, compiles and keeps."""
    here = Path.cwd()
    os.chdir(place)
    sys.argv = ["winninghand", *COMMANDS[command]]
    try:
        with Path(f"{command}.err").open("w") as file, redirect_stdout(file), redirect_stderr(file):
            main()
    except SystemExit as leaving:
        if leaving.code:
            raise RuntimeError(
                f"{command} undisturbed: {Path(f'{command}.err').read_text()[-500:]}"
            ) from leaving
    finally:
        os.chdir(here)


OUTSIDE = 75
"""The exit code of a command that was interrupted before it began or after its end."""

_errors: dict[int, int] = {}
"""Where to read the standard error of each process."""


def start(
    place: Path, command: str, die_at: int | None = None, before: bool = True, largest: int | None = None
) -> int:
    """Start a command in the folder `place`; return the process.

    It kills itself before or after rename number `die_at`. No file may have more than `largest` bytes.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        _errors[child] = reading
        return child
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the command begins, as nothing can be lost
        os.chdir(place)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(writing, 2)  # a pipe, on which no limit lies
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        else:
            _count_renames(die_at, before, place / f"{command}.renames")
        sys.argv = ["winninghand", *COMMANDS[command]]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        main()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt:  # before the command began, or after its end
        code = OUTSIDE
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
    begun, said, reading = time.monotonic(), b"", _errors.pop(child)
    os.set_blocking(reading, False)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        spent = time.monotonic() - begun
        with suppress(BlockingIOError):
            said += os.read(reading, 1 << 16)
        if done:
            break
        if spent > seconds:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    os.close(reading)
    code = os.waitstatus_to_exitcode(status)
    record = place / f"{command}.renames"
    renames = int(record.read_text() or 0) if record.exists() else 0  # empty where it was killed
    return Ended(code, said.decode(errors="replace"), renames, spent)


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
    if path.name == "cells.parquet":
        return repr(pq.read_table(io.BytesIO(content)).drop_columns("seconds").to_pylist()).encode()
    if path.name in ("checkpoint.pt", "rewind.pt"):
        return b"there"  # these hold times, too; what is made of them is compared
    return content

"""How many cores there are for this process, and how many threads PyTorch takes of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from winninghand.base.errors import counted


def use_threads(threads: int | None = None) -> None:
    """Have PyTorch use so many threads; for None, as many as cores are free.

    Where that is less than usual it is told, with the first progress that is shown.

    More threads than free cores wait for each other after every operation, and are slower than one. The
    environment's `OMP_NUM_THREADS` and `MKL_NUM_THREADS` stand: somebody chose them.
    """
    import torch  # decoding pictures asks for cores, and needs no torch

    from winninghand.base.progress import say_with_progress

    if threads is not None:
        torch.set_num_threads(threads)
        return
    if os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS"):
        return
    usual, cores, busy = torch.get_num_threads(), usable_cores(), busy_cores()
    free = math.inf if busy is None else (os.cpu_count() or 1) - busy
    chosen = max(1, min(usual, round(min(cores, free))))
    if chosen < usual:
        loaded = f"the load of this machine of {counted(os.cpu_count() or 1, 'core')} is {busy or 0:.1f}"
        why = loaded if free < cores else f"this process may use {cores:g} cores"
        say_with_progress(f"{counted(chosen, 'thread')} instead of {usual}: {why}; --threads sets the number")
        torch.set_num_threads(chosen)


@contextmanager
def one_thread() -> Iterator[None]:
    """Have this thread's operations of PyTorch begin no others.

    After each operation PyTorch's threads stay awake for milliseconds, and wait busily for the next one.
    Whoever wants the cores in that time has to share them.
    """
    import torch

    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


def usable_cores() -> float:
    """Return how many cores this process may use, by its affinity and the quota of its control group."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = float(len(affinity(0)) if affinity else os.cpu_count() or 1)
    root = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        groups = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
        own = next((line[3:].lstrip("/") for line in groups if line.startswith("0::")), "")
        for group in (root / own, *(root / own).parents):
            if group.is_relative_to(root):
                cores = min(cores, _quota(group))
    return cores


def busy_cores() -> float | None:
    """Return how many of the machine's cores were busy in the last minute; None where nobody counts them."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def _quota(group: Path) -> float:
    """Return how many cores a control group gives its processes together; infinity without a bound."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)  # "max" is no number
    return math.inf

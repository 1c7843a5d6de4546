"""Sums over the processes of one machine, by sockets: gloo takes a millisecond or two to wake for each.

A sum waits for its peers without a thread of its own. So two processes pass each other some ten microseconds
after both are there, beside a step of a batch-norm that takes a few milliseconds.
"""

from __future__ import annotations

import select
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor, distributed

from winninghand.base.threads import usable_cores

Sum: TypeAlias = Callable[[Tensor], object]
"""Replaces a tensor by its sum over all processes, in place; all of them call it, in the same order."""

_LARGEST = 64 * 1024
"""Bytes that a socket's buffers surely take, so that all may send before any of them receives."""

_PATIENCE = 0.002
"""Seconds for which a process stays awake for another."""


class Neighbours:
    """This process's connections to all others of a training, `rank` of `size`, on one machine.

    Raises `OSError` where one cannot be reached.
    """

    def __init__(self, rank: int, size: int, addresses: list[str], listening: socket.socket) -> None:
        self.rank = rank
        # A process that sleeps takes half a millisecond to wake; one without a core of its own must.
        self._patience = _PATIENCE if usable_cores() >= size else 0.0
        self._others: dict[int, socket.socket] = {}
        for other in range(rank):
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(addresses[other])
            connected.sendall(rank.to_bytes(4, "little"))
            self._others[other] = connected
        while len(self._others) < size - 1:
            connected, _ = listening.accept()
            self._others[int.from_bytes(_received(connected, 4), "little")] = connected

    def sum(self, values: Tensor) -> None:
        """Replace values on the CPU by their sums, in all processes by the same bits.

        Raises `RuntimeError` where another process has ended.
        """
        own = values.numpy()
        if own.nbytes > _LARGEST:
            distributed.all_reduce(values)
            return
        sent = own.tobytes()
        parts = {self.rank: own.copy()}
        try:
            for other in self._others.values():
                other.sendall(sent)
            for rank, other in self._others.items():
                content = _received(other, len(sent), self._patience)
                parts[rank] = np.frombuffer(content, own.dtype).reshape(own.shape)
        except OSError as error:
            raise RuntimeError(f"Connection closed by peer ({error})") from error
        own[...] = sum(parts[rank] for rank in sorted(parts))


def summing(rank: int, size: int) -> Sum:
    """Return how to add up a few values on CPUs, fast where all processes see one machine; all call it."""
    folder = Path(tempfile.mkdtemp(prefix="winninghand-"))  # nobody else's
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            with suppress(OSError):  # of a path that is too long, as in folders of clusters
                listening.bind(str(folder / "socket"))
                listening.settimeout(60)
                listening.listen(size)
            addresses = _gathered(str(folder / "socket"), size)
            if not all(_gathered(all(Path(one).exists() for one in addresses), size)):
                return distributed.all_reduce
            return Neighbours(rank, size, addresses, listening).sum
    finally:
        distributed.barrier()
        shutil.rmtree(folder, ignore_errors=True)


def _gathered(value: object, size: int) -> list[Any]:
    found: list[Any] = [None] * size
    distributed.all_gather_object(found, value)
    return found


def _received(connected: socket.socket, count: int, patience: float = 0.0) -> bytes:
    """Return so many bytes from another process; stay awake for some seconds of patience before."""
    if patience:
        awaited = select.poll()
        awaited.register(connected, select.POLLIN)
        until = time.perf_counter() + patience
        while not awaited.poll(0) and time.perf_counter() < until:
            pass
    content = connected.recv(count, socket.MSG_WAITALL)
    if len(content) < count:
        raise ConnectionError("it has ended")
    return content

"""Threads that do one call's jobs together, and are at hand for the next."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread

import numpy as np

from winninghand.base.threads import usable_cores
from winninghand.engine.kernels import CALLS, FINISHED, JOBS, announce, lead, serve
from winninghand.engine.layout import Longs
from winninghand.engine.packing import aligned

_PATIENCE = 2000
"""How often a thread without work offers its core to others before it goes to sleep: about a millisecond."""


class Team:
    """Threads of one caller: the caller's own is the first, the others are started when first needed.

    To wake a thread that sleeps takes as long as a small network's first layers. So for about a millisecond
    after each call they stay awake, and give way to all others. Where there are fewer cores than threads
    they sleep at once. They end with the team.
    """

    def __init__(self, threads: int) -> None:
        self._size = threads
        self._begin()

    def _begin(self) -> None:
        self._others: list[_Other] = []
        self._board = aligned(JOBS + 16 * self._size).view(np.int64)

    def do(self, jobs: Sequence[Longs]) -> None:
        """Do jobs, int64 (jobs, `JOB`) for each thread, and return when all are done. One call at a time.

        Raises `RuntimeError` where the system gives no more threads; then nothing is done.
        """
        if not self._others and self._size > 1:
            self._start()
        for thread, own in enumerate(jobs):
            place = (JOBS + 16 * thread) // 8
            self._board[place : place + 2] = own.ctypes.data, len(own)
        try:
            announce(self._board.ctypes.data)
            self._finish()
        except BaseException:  # Ctrl-C, while others are at work on this call's arrays
            self._finish()
            raise

    def _finish(self) -> None:
        """Do the jobs that are announced and not yet done, together."""
        expected = int(self._board[CALLS // 8]) * self._size
        if self._board[FINISHED // 8] < expected:
            for other in self._others:
                if other.asleep:
                    other.wanted.put(None)
            lead(self._board.ctypes.data, expected)

    def _start(self) -> None:
        patience = _PATIENCE if self._size <= usable_cores() else 1
        others = [_Other(self._board, thread) for thread in range(1, self._size)]
        try:
            for other in others:
                name = f"engine_{other.thread}"
                Thread(target=other.work, args=(patience,), name=name, daemon=True).start()
            weakref.finalize(self, _dismiss, others)
            self._others = others
        except BaseException:
            _dismiss(others)
            self._begin()  # with another board: those that were started may still look at this one
            raise


class _Other:
    """What one thread knows. It does not know the team, which ends when nobody else does."""

    def __init__(self, board: Longs, thread: int) -> None:
        self.board, self.thread = board, thread
        # A queue, as it may be put to in a collection of garbage, and in a process forked at any time.
        self.wanted: SimpleQueue[None] = SimpleQueue()
        self.asleep, self.dismissed = False, False

    def work(self, patience: int) -> None:
        """Serve the board until the team ends."""
        calls = 0
        while not self.dismissed:
            calls = serve(self.board.ctypes.data, self.thread, calls, patience)
            self.asleep = True  # from here on a call wakes it; one that came before is seen in the count
            if self.board[CALLS // 8] == calls and not self.dismissed:
                self.wanted.get()
            self.asleep = False


def _dismiss(others: Sequence[_Other]) -> None:
    for other in others:
        other.dismissed = True
        other.wanted.put(None)

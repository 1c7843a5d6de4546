"""Runs a program: images in, logits out, on threads of its own."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

import numpy as np

from winninghand.engine.kernels import execute
from winninghand.engine.layout import Floats, Longs
from winninghand.engine.packing import Weights
from winninghand.engine.planning import Plan, planned
from winninghand.engine.program import Program
from winninghand.engine.regions import Region, best_regions, with_maxima_apart
from winninghand.engine.vectors import LANES

_ALL_CAME = 2**62
"""More than any meeting expects."""


class SparseRunner:
    """A program, its packed weights, and plans for chunks of images.

    Each thread does images of its own, in chunks of 1, 2, 4, 8 or `LANES` images. What is left when all
    threads have the same number of images, they do together, each some output channels of every step. One
    call runs at a time; others wait.
    """

    def __init__(self, program: Program, threads: int = 1) -> None:
        self.program = with_maxima_apart(program)
        self.threads = threads
        self._weights = Weights(self.program)
        self._regions: dict[int, list[Region]] = {}
        self._plans: dict[tuple[int, int, int], Plan] = {}
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def run(self, images: Floats, cards: Longs | None = None) -> Floats:
        """Return logits (N, classes) of images, float32 (N, 3, H, W) in [0, 1].

        `cards`, int64 (N,), says whose scales and biases each image has; by default those of card 0.
        """
        images = np.ascontiguousarray(images, np.float32)
        numbers = np.zeros(len(images), np.int64) if cards is None else np.ascontiguousarray(cards, np.int64)
        logits = np.empty((len(images), self.program.classes), np.float32)
        if self._process != os.getpid():
            self._begin_anew()
        with self._lock:
            each = len(images) // self.threads
            alone = [[*_chunks(thread * each, each)] for thread in range(self.threads)]
            together = [*_chunks(each * self.threads, len(images) - each * self.threads)]
            plans = {size: [self._plan(size, 1, t) for t in range(self.threads)] for _, size in alone[0]}
            teams = [self._plan(size, self.threads, number) for number, (_, size) in enumerate(together)]

            def work(thread: int) -> None:
                try:
                    for start, size in alone[thread]:
                        self._execute(plans[size][thread], 0, images, logits, numbers, start)
                    for (start, _), plan in zip(together, teams, strict=True):
                        self._execute(plan, thread, images, logits, numbers, start)
                except BaseException:
                    for plan in teams:  # nobody waits for a thread that does not come
                        plan.counter[:] = _ALL_CAME
                    raise

            for plan in teams:
                plan.counter[:] = 0
            others: list[Future[None]] = []
            try:
                others.extend(self._workers().submit(work, thread) for thread in range(1, self.threads))
                work(0)
            except BaseException:  # a thread may not have begun
                for plan in teams:
                    plan.counter[:] = _ALL_CAME
                raise
            finally:
                for other in others:
                    other.result()
        return logits

    def _begin_anew(self) -> None:
        """Forget lock and threads of the process that this one was forked from: they are not here."""
        self._lock, self._pool, self._process = Lock(), None, os.getpid()

    def _execute(
        self, plan: Plan, thread: int, images: Floats, logits: Floats, cards: Longs, start: int
    ) -> None:
        execute(
            plan.tables[thread],
            images[start:].ctypes.data,
            logits[start:].ctypes.data,
            cards[start:].ctypes.data,
        )

    def _plan(self, images: int, team: int, owner: int) -> Plan:
        """Return the plan of a chunk; threads that work alone have one each, since a plan has memory."""
        key = (images, team, owner)
        if key not in self._plans:
            if images not in self._regions:
                regions, _ = best_regions(self.program, images, self._weights.shapes)
                self._regions[images] = regions
            self._plans[key] = planned(self.program, images, team, self._regions[images], self._weights)
        return self._plans[key]

    def _workers(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads - 1, thread_name_prefix="engine")
        return self._pool


def _chunks(start: int, images: int) -> list[tuple[int, int]]:
    """Cut images into chunks of powers of two: where each begins, and how many it has."""
    chunks, size = [], LANES
    while images:
        if images >= size:
            chunks.append((start, size))
            start, images = start + size, images - size
        else:
            size //= 2
    return chunks

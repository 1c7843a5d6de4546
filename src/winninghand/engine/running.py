"""Runs a program: images in, logits out, on threads of its own."""

from __future__ import annotations

import os
from threading import Lock

import numpy as np

from winninghand.engine.kernels import JOB
from winninghand.engine.layout import Floats, Longs
from winninghand.engine.packing import Weights, without_floats
from winninghand.engine.planning import Plan, planned
from winninghand.engine.program import Program
from winninghand.engine.regions import Region, best_regions, with_maxima_apart
from winninghand.engine.team import Team
from winninghand.engine.vectors import LANES


class SparseRunner:
    """A program, its packed weights, and plans for chunks of images.

    Each thread does images of its own, in chunks of 1, 2, 4, 8 or `LANES` images. What is left when all
    threads have the same number of images, they do together, each some output channels of every step. One
    call runs at a time; others wait.
    """

    def __init__(self, program: Program, threads: int = 1) -> None:
        whole = with_maxima_apart(program)
        self.threads = threads
        self._weights = Weights(whole)
        self.program = without_floats(whole)
        self._regions: dict[tuple[int, int], list[Region]] = {}
        self._plans: dict[tuple[int, int, int], Plan] = {}
        self._lock = Lock()
        self._team = Team(threads)
        self._process = os.getpid()

    def run(self, images: Floats, cards: Longs | None = None) -> Floats:
        """Return logits (N, classes) of images, float32 (N, 3, H, W) in [0, 1].

        `cards`, int64 (N,), says whose scales and biases each image has; by default those of card 0.
        """
        images = np.ascontiguousarray(images, np.float32)
        numbers = np.zeros(len(images), np.int64) if cards is None else np.ascontiguousarray(cards, np.int64)
        logits = np.empty((len(images), self.program.classes), np.float32)
        if self._process != os.getpid():  # lock and threads of the process that this was forked from
            self._lock, self._team, self._process = Lock(), Team(self.threads), os.getpid()
        arrays = [(array.ctypes.data, array.strides[0]) for array in (images, logits, numbers)]
        each = len(images) // self.threads
        with self._lock:
            jobs: list[list[list[int]]] = [[] for _ in range(self.threads)]
            for thread, own in enumerate(jobs):
                for start, size in _chunks(thread * each, each):
                    own.append(_job(self._plan(size, 1, thread), 0, start, arrays))
            together = _chunks(each * self.threads, len(images) - each * self.threads)
            for number, (start, size) in enumerate(together):
                plan = self._plan(size, self.threads, number)
                plan.counter[:] = 0
                for thread, own in enumerate(jobs):
                    own.append(_job(plan, thread, start, arrays))
            self._team.do([np.array(own, np.int64).reshape(-1, JOB) for own in jobs])
        return logits

    def _plan(self, images: int, team: int, owner: int) -> Plan:
        """Return the plan of a chunk; threads that work alone have one each, since a plan has memory."""
        key = (images, team, owner)
        if key not in self._plans:
            if (images, team) not in self._regions:
                regions, _ = best_regions(self.program, images, self._weights.shapes, team)
                self._regions[images, team] = regions
            self._plans[key] = planned(self.program, images, team, self._regions[images, team], self._weights)
        return self._plans[key]


def _job(plan: Plan, thread: int, start: int, arrays: list[tuple[int, int]]) -> list[int]:
    """Return what `kernels.perform` reads: a thread's table, and where the chunk lies in each array."""
    table = plan.tables[thread]
    return [table.ctypes.data, len(table), *(address + start * stride for address, stride in arrays)]


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

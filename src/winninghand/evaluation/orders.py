"""The order in which a player sees corrupted images, as work on test-time adaptation arranges its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from winninghand.base.errors import InputError, shown
from winninghand.base.registry import nearest
from winninghand.evaluation.table import Int64Array, UInt8Array

Order = Literal["cells", "mixed", "gradual", "correlated"]

ORDERS: tuple[Order, ...] = get_args(Order)


def checked_order(order: object) -> Order:
    """Return the order of that name; `InputError` names the nearest one."""
    for known in ORDERS:
        if order == known:
            return known
    raise InputError(f"unknown order {shown(repr(order))}; {nearest(order, ORDERS)}")


@dataclass(frozen=True)
class Stream:
    """Images in the order in which they are seen: the number of each one's cell (T,), and its place there."""

    cells: Int64Array
    places: Int64Array

    def parts(self, size: int) -> Iterator[Stream]:
        """Yield the stream in parts of `size` images; the last may be shorter."""
        for start in range(0, len(self.cells), size):
            yield Stream(self.cells[start : start + size], self.places[start : start + size])

    def images(self, make: Callable[[int, Int64Array], UInt8Array]) -> UInt8Array:
        """Return the images (T, H, W, 3), where `make` gives those of a cell at some places.

        It is asked once for each cell: a corruption takes much longer for many batches of few images.
        """
        numbers = np.unique(self.cells)
        chosen = [np.flatnonzero(self.cells == number) for number in numbers]
        made = [make(int(number), self.places[some]) for number, some in zip(numbers, chosen, strict=True)]
        images = np.empty((len(self.cells), *made[0].shape[1:]), np.uint8)
        for some, part in zip(chosen, made, strict=True):
            images[some] = part
        return images

    def of_cell(self, number: int) -> Int64Array:
        """Return where in the stream the images of a cell stand, in the order of their places."""
        here = np.flatnonzero(self.cells == number)
        return here[np.argsort(self.places[here])]


def arranged(
    order: Order, labels: Int64Array, corruptions: int, severities: Sequence[int], seed: int
) -> Stream:
    """Return the cells' images as one stream; each image of each cell comes once.

    Cells are numbered corruption by corruption, within each as `severities` are given; `labels` (N,) are
    those of the images, the same in every cell.

    - `cells`: one cell after the other, as they are numbered.
    - `mixed`: the images of all cells, shuffled by `seed`.
    - `gradual`: corruption after corruption, the severity of each rising to its highest and falling again.
      Of a severity below the highest every second image, from the first on, comes on the way up, the
      others on the way down.
    - `correlated`: cell after cell, the images of each one class by class.
    """
    count, levels = len(labels), len(severities)
    every, ranks = np.arange(count), np.argsort(severities, kind="stable")
    if order == "gradual":
        rising = [(rank, every[::2]) for rank in ranks[:-1]]
        falling = [(rank, every[1::2]) for rank in ranks[-2::-1]]
        steps = [*rising, (ranks[-1], every), *falling]
    else:
        one_cell = np.argsort(labels, kind="stable") if order == "correlated" else every
        steps = [(rank, one_cell) for rank in range(levels)]
    cells = np.concatenate([np.full(len(places), rank, np.int64) for rank, places in steps])
    places = np.tile(np.concatenate([places for _, places in steps]), corruptions)
    cells = (np.arange(corruptions)[:, None] * levels + cells).ravel()
    if order == "mixed":
        shuffled = np.random.default_rng(seed).permutation(len(cells))
        cells, places = cells[shuffled], places[shuffled]
    return Stream(cells, places)

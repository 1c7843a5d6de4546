"""Seeded choices among labelled images: balanced samples and stratified parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import InputError

Int64Array = npt.NDArray[np.int64]


def balanced_sample(labels: Int64Array, count: int, seed: int) -> Int64Array:
    """Return the sorted indices of `count` images, spread over the classes as evenly as they allow.

    Counts per class differ by at most one, except that a class with too few images gives all it
    has. With the same seed a smaller sample is part of a larger one. A `count` beyond the number
    of images gives all of them. Raises `InputError` for a `count` below one.
    """
    if count < 1:
        raise InputError(f"a sample needs at least one image, not {count}")
    if count >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    generator = np.random.default_rng(seed)
    ranks = _random_ranks_within_class(labels, generator)
    classes = int(labels.max()) + 1
    turn = ranks * classes + generator.permutation(classes)[labels]
    return np.sort(np.argpartition(turn, count - 1)[:count]).astype(np.int64)


def validation(labels: Int64Array, fraction: float, seed: int) -> tuple[Int64Array, Int64Array]:
    """Return sorted indices (rest, validation) that divide the images class by class.

    The validation part is `fraction` of each class to within one image, and of all images together
    as far as every class keeps one image in the rest. Raises `InputError` where `fraction` is outside
    (0, 1) or no class can spare an image.
    """
    if not 0 < fraction < 1:
        raise InputError(f"the fraction for validation must lie between 0 and 1, not {fraction}")
    ranks = _random_ranks_within_class(labels, np.random.default_rng(seed))
    chosen = ranks < _quotas(np.bincount(labels), fraction)[labels]
    if not chosen.any():
        raise InputError(
            f"cannot take {fraction:g} of {len(labels)} images for validation: add images to the classes"
        )
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)


def _quotas(counts: Int64Array, fraction: float) -> Int64Array:
    """Return how many images each class gives: largest remainders first, never a class's last image."""
    exact = counts * fraction
    quotas = np.floor(exact).astype(np.int64)
    missing = max(1, round(float(counts.sum()) * fraction)) - int(quotas.sum())
    remainders = np.where(quotas < counts - 1, exact - quotas, -1.0)
    largest = np.argsort(-remainders, kind="stable")[: max(0, missing)]
    quotas[largest] += 1
    capped: Int64Array = np.minimum(quotas, np.maximum(counts - 1, 0))
    return capped


def _random_ranks_within_class(labels: Int64Array, generator: np.random.Generator) -> Int64Array:
    """Return each image's place, from 0, in a random order of its own class."""
    order = generator.permutation(len(labels))
    grouped = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[grouped] = np.arange(len(labels)) - starts[labels[grouped]]
    return ranks

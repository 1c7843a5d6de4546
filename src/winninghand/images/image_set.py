"""The two shapes every data source is brought to: a split and an image set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real

import numpy as np

from winninghand.base.deprecation import renamed
from winninghand.base.errors import MOST_CLASSES, InputError, checked_classes, checked_whole, counted, shown
from winninghand.images.checks import (
    ArrayLike,
    Int64Array,
    StreamedImages,
    UInt8Array,
    checked_images,
    checked_labels,
)
from winninghand.images.preparation import Origin

_MOST_NAMES = 20


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    `images` is uint8 (N, H, W, 3), RGB; `labels` is int64 (N,), indices into the classes of the
    image set. Both may be memory-mapped. Images that are streamed are no array, and decoded when they are
    asked for: `images[places]` is one. `classes` are the names of all classes, 2 to 65,536 different readable
    ones, or None where they have none; the splits of an image set have its names. Raises `InputError` for
    anything else, and for a label without a name.
    """

    images: UInt8Array | StreamedImages
    labels: Int64Array
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        # Frozen for everybody but its own construction.
        if not isinstance(self.images, StreamedImages):
            object.__setattr__(self, "images", checked_images(self.images))
        count = MOST_CLASSES
        if self.classes is not None:
            object.__setattr__(self, "classes", checked_classes(self.classes))
            count = len(self.classes)
        object.__setattr__(self, "labels", checked_labels(self.labels, len(self.images), classes=count))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({counted(len(self), 'image')}, {self.size[0]}×{self.size[1]})"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every image, in pixels."""
        return self.images.shape[1], self.images.shape[2]

    @cached_property
    def digest(self) -> str:
        """A hash of every pixel and label, in hexadecimal; taken once (0.15 s for CIFAR-10).

        Of streamed images it is one of the names and lengths of their files, and of how they are prepared.
        """
        digest = hashlib.blake2b(repr(self.images.shape).encode(), digest_size=16)
        parts: list[UInt8Array | Int64Array] = [self.labels]
        if isinstance(self.images, StreamedImages):
            digest.update(self.images.stamp())
        else:
            parts.insert(0, self.images)
        for part in parts:
            for begin in range(0, len(part), 4096):
                digest.update(np.ascontiguousarray(part[begin : begin + 4096]).view(np.uint8).data)
        return digest.hexdigest()

    def take(self, indices: Int64Array) -> Split:
        """Return the images at `indices` as a split in memory, or as one that is streamed where this is."""
        if isinstance(self.images, StreamedImages):
            return Split(self.images.take(indices), self.labels[indices], self.classes)
        return Split(np.ascontiguousarray(self.images[indices]), self.labels[indices], self.classes)

    def balanced_sample(self, count: int, seed: int) -> Int64Array:
        """Return sorted indices of `count` images, class-balanced: see `balanced_sample`."""
        return balanced_sample(self.labels, count, seed)

    def validation(self, fraction: float, seed: int = 0) -> tuple[Int64Array, Int64Array]:
        """Return sorted indices (rest, validation), stratified: see `validation_part`."""
        return validation_part(self.labels, fraction, seed)

    def held_out(self, fraction: float, seed: int = 0) -> tuple[Int64Array, Int64Array]:
        """Do what `validation` does, under its old name."""
        renamed("Split.held_out", "Split.validation")
        return self.validation(fraction, seed)


@dataclass(frozen=True)
class ImageSet:
    """Training and test images of one task, under one list of class names.

    Its names become those of both splits, whatever these had before. `origin` says how they were loaded, None
    where they are the caller's own arrays. Raises `InputError`
    where the names are not 2 to 65,536 different readable ones, where a label has no name, and where the two
    splits differ in size.
    """

    train: Split
    test: Split
    classes: tuple[str, ...]
    name: str = "arrays"
    origin: Origin | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", checked_classes(self.classes))
        for part, split in (("train", self.train), ("test", self.test)):
            checked_labels(split.labels, len(split.images), part, len(self.classes))
            if split.classes != self.classes:
                object.__setattr__(self, part, replace(split, classes=self.classes))
        if self.train.size != self.test.size:
            raise InputError(
                f"train images are {self.train.size} pixels and test images {self.test.size}; resize one"
            )

    def __repr__(self) -> str:
        counts = f"{len(self.train)} train and {len(self.test)} test images"
        height, width = self.train.size
        return shown(f"ImageSet({self.name}, {counts}, {height}×{width}, {len(self.classes)} classes)")

    def _repr_html_(self) -> str:
        """Return its classes, how many images each has and the first of them, as HTML for notebooks."""
        from winninghand.images.showing import image_set_html  # who trains alone needs none of it

        train, test = self.train, self.test
        remarks = [] if self.origin is None else self.origin.remarks()
        title = "; ".join([repr(self), *remarks])
        return image_set_html(title, self.classes, train.labels, test.labels, train.images)

    def summary(self) -> str:
        """Return one line: how many images of each class there are, to train + to test, and their origin."""
        train, test = (
            np.bincount(split.labels, minlength=len(self.classes)) for split in (self.train, self.test)
        )
        counts = [
            f"{shown(name, 40)} {first:,} + {second:,}"
            for name, first, second in zip(self.classes[:_MOST_NAMES], train, test, strict=False)
        ]
        if len(self.classes) > _MOST_NAMES:
            rest = np.concatenate([train[_MOST_NAMES:], test[_MOST_NAMES:]])
            counts.append(f"and {len(self.classes) - _MOST_NAMES:,} more of {rest.min():,} to {rest.max():,}")
        height, width = self.train.size
        line = (
            f"{shown(self.name)}: {counted(len(self.train), 'image')} to train and {len(self.test):,} to "
            f"test of {height}×{width}, {len(self.classes):,} classes ({', '.join(counts)})"
        )
        return line if self.origin is None else "; ".join([line, *self.origin.remarks()])

    @classmethod
    def from_arrays(
        cls,
        train: tuple[ArrayLike, ArrayLike],
        test: tuple[ArrayLike, ArrayLike],
        classes: Sequence[str],
        name: str = "arrays",
    ) -> ImageSet:
        """Make an image set of the caller's own arrays or tensors.

        `train` and `test` are pairs (images, labels): images uint8 (N, H, W, 3), or (N, H, W) and
        (N, H, W, 1) for grey ones, which are brought to three channels; labels whole numbers (N,)
        in 0 .. len(classes) − 1. Raises `InputError` where shapes, types or labels do not fit.
        """
        names = checked_classes(classes)
        splits = [_split(part, pair, len(names)) for part, pair in (("train", train), ("test", test))]
        return cls(splits[0], splits[1], names, name)


def _split(part: str, pair: tuple[ArrayLike, ArrayLike], classes: int) -> Split:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(f"{part} must be a pair of images and labels")
    pixels = checked_images(pair[0], f"{part} images")
    return Split(pixels, checked_labels(pair[1], len(pixels), part, classes))


def balanced_sample(labels: Int64Array, count: int, seed: int) -> Int64Array:
    """Return the sorted indices of `count` images, spread over the classes as evenly as they allow.

    Counts per class differ by at most one, except that a class with too few images gives all it
    has. With the same seed a smaller sample is part of a larger one. A `count` beyond the number
    of images gives all of them. Raises `InputError` for a `count` below one and a negative `seed`.
    """
    count = checked_whole("the number of images of a sample", count, least=1)
    seed = checked_whole("seed", seed)
    if count >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    generator = np.random.default_rng(seed)
    ranks = _random_ranks_within_class(labels, generator)
    classes = int(labels.max()) + 1
    turn = ranks * classes + generator.permutation(classes)[labels]
    return np.sort(np.argpartition(turn, count - 1)[:count]).astype(np.int64)


def validation_part(labels: Int64Array, fraction: float, seed: int) -> tuple[Int64Array, Int64Array]:
    """Return sorted indices (rest, validation) that divide the images class by class.

    The validation part is `fraction` of each class to within one image, and of all images together
    as far as every class keeps one image in the rest. Raises `InputError` where `fraction` is outside
    (0, 1), `seed` is negative or no class can spare an image.
    """
    seed = checked_whole("seed", seed)
    if not isinstance(fraction, Real) or not 0 < fraction < 1:
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


def checked_split(split: object) -> Split:
    """Return a split as it is; `InputError` for a whole image set and for anything else."""
    if isinstance(split, Split):
        return split
    if isinstance(split, ImageSet):
        raise InputError("an image set has two splits; pass one of them, such as images.test")
    raise InputError(
        f"images to measure are a split, such as images.test of an image set, not {type(split).__name__}"
    )

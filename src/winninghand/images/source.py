"""What every data source gives: an image set that was found but not yet decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from winninghand.base import catalog
from winninghand.base.errors import InputError, with_article
from winninghand.base.registry import Registry
from winninghand.images.checks import ArrayLike, BoolArray, Int64Array, UInt8Array, checked_images
from winninghand.images.image_set import ImageSet
from winninghand.images.pictures import Decoded, Picture, broken_error, decode, listed, without_remedy
from winninghand.images.preparation import Origin, Preparation
from winninghand.images.resizing import resized

Arrays = tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True)
class Source:
    """An image set in place.

    `files` are all the files it is decoded from; a source without files is not cached.
    `decode(how)` returns it with all images at `how.size` (height, width), or at their own size
    where that is `None`, as the other settings of `how` say; it raises `InputError` for files that cannot be
    used. `drawn` says that the division into images to train and to test depends on `how`, too, and `streams`
    that it heeds `how.stream`.
    """

    name: str
    files: tuple[Path, ...]
    decode: Callable[[Preparation], ImageSet]
    drawn: bool = False
    streams: bool = False


class NoStreamError(InputError):
    """An image set that cannot be streamed, and is asked to be."""


def image_set(
    name: str,
    train: Arrays,
    test: Arrays,
    classes: Sequence[str],
    how: Preparation = Preparation(),
) -> ImageSet:
    """Return the image set of pairs (images, labels), at a size and checked, errors headed by its name.

    Raises `InputError` where shapes or labels do not fit, or where a class has test images but
    no training images.
    """
    try:
        images = ImageSet.from_arrays(_resized(train, how), _resized(test, how), classes, name)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    check_known(name, images.train.labels, images.test.labels, images.classes)
    return replace(images, origin=Origin(how))


def check_known(name: str, train: Int64Array, test: Int64Array, classes: Sequence[str]) -> None:
    """Raise `InputError` where a class has test images but no training images, by their labels."""
    unknown = np.setdiff1d(test, train)
    if len(unknown):
        raise InputError(
            f"{name}: class {classes[unknown[0]]!r} has test images but no training images; "
            "add some or leave it out of the test images"
        )


def picture_set(
    name: str,
    train: tuple[Sequence[Picture], Int64Array],
    test: tuple[Sequence[Picture], Int64Array],
    classes: Sequence[str],
    how: Preparation,
) -> ImageSet:
    """Return the image set of pairs (encoded pictures, labels), decoded together.

    Raises `InputError` that names all pictures which are broken, unless these are to be left out, and a
    class of which no image is left.
    """
    pictures, labels = [*train[0], *test[0]], np.concatenate([train[1], test[1]])
    found = _readable(name, pictures, how)
    is_test = found.kept >= len(train[0])
    marks = labels[found.kept]
    lost = np.setdiff1d(train[1], marks[~is_test]), np.setdiff1d(test[1], marks[is_test])
    for part, numbers in zip(("train", "test"), lost, strict=True):
        if len(numbers):
            raise InputError(
                f"{name}: all {part} images of class {classes[numbers[0]]!r} are broken "
                f"({listed(_reasons(found))}); replace them"
            )
    return _divided(name, found, marks, is_test, classes, how)


def drawn_set(
    name: str,
    pictures: Sequence[Picture],
    labels: Int64Array,
    classes: Sequence[str],
    how: Preparation,
    draw: Callable[[Int64Array], BoolArray],
) -> ImageSet:
    """Return the image set of encoded pictures of which those to test are drawn, from those that can be read.

    `draw` says of the pictures with these indices, in order, which are to test. Raises `InputError` that
    names all pictures which are broken, unless these are to be left out, and a class of which fewer than two
    images are left.
    """
    found = _readable(name, pictures, how)
    marks = labels[found.kept]
    counts = np.bincount(marks, minlength=len(classes))
    if counts.min() < 2:
        number = int(counts.argmin())
        which = "one image alone" if counts[number] else "no image"
        raise InputError(
            f"{name}: {which} of class {classes[number]!r} can be read, and two are needed "
            f"({listed(_reasons(found))}); replace the broken ones"
        )
    images = _divided(name, found, marks, draw(found.kept), classes, how)
    assert images.origin is not None
    return replace(images, origin=replace(images.origin, drawn=True))


def _readable(name: str, pictures: Sequence[Picture], how: Preparation) -> Decoded:
    """Return pictures decoded; raise `InputError` where some are broken and are not to be left out."""
    found = decode(pictures, how.size, how.transform, f"decoding {name}")
    if found.broken and not how.skip_broken:
        raise broken_error(len(pictures), [str(error) for _, error in found.broken])
    return found


def _reasons(found: Decoded) -> tuple[str, ...]:
    return tuple(without_remedy(str(error)) for _, error in found.broken)


def _divided(
    name: str,
    found: Decoded,
    labels: Int64Array,
    is_test: BoolArray,
    classes: Sequence[str],
    how: Preparation,
) -> ImageSet:
    """Return the image set of decoded pictures, their labels and which of them are to test."""
    order = np.argsort(is_test, kind="stable")
    first = len(order) - int(is_test.sum())
    images, marks = _in_order(found.images, order), labels[order]
    made = image_set(name, (images[:first], marks[:first]), (images[first:], marks[first:]), classes)
    return replace(made, origin=Origin(how, broken=_reasons(found), transparent=found.transparent))


def _in_order(images: UInt8Array, order: Int64Array) -> UInt8Array:
    """Bring images into an order within their array, as a copy would take the memory twice."""
    done = order == np.arange(len(order))
    for start in np.flatnonzero(~done).tolist():
        if done[start]:
            continue
        held, place = images[start].copy(), start
        while (taken := int(order[place])) != start:
            images[place], done[place], place = images[taken], True, taken
        images[place], done[place] = held, True
    return images


def checked_source(found: object, registry: Registry[Any], name: str) -> Source:
    """Return what a source or layout called `name` found, whose decoding is checked as it is.

    Raises `TypeError` for what is no `Source`; to be called within `registry.called(name)`.
    """
    if not isinstance(found, Source) or not all(isinstance(path, Path) for path in found.files):
        raise TypeError(f"it must return a Source of paths, not {with_article(type(found).__name__)}")
    if name in registry.own:
        return found

    def decode_checked(how: Preparation) -> ImageSet:
        with registry.called(name):
            images = found.decode(how)
            if not isinstance(images, ImageSet):
                raise TypeError(f"it must decode to an ImageSet, not {with_article(type(images).__name__)}")
        return images

    return replace(found, decode=decode_checked)


def _resized(arrays: Arrays, how: Preparation) -> Arrays:
    if how.size is None:
        return arrays
    return resized(checked_images(arrays[0]), how.size, how.transform), arrays[1]


IMAGE_SETS: Registry[Callable[[Path | None], Source]] = catalog.IMAGE_SETS


LAYOUTS: Registry[Callable[[Path], Source | None]] = catalog.LAYOUTS

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
from winninghand.images.checks import ArrayLike, checked_images
from winninghand.images.image_set import ImageSet
from winninghand.images.resizing import Size, resized

Arrays = tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True)
class Source:
    """An image set in place.

    `files` are all the files it is decoded from; a source without files is not cached.
    `decode(size)` returns it with all images at `size` (height, width), or at their own size
    where that is `None`; it raises `InputError` for files that cannot be used.
    """

    name: str
    files: tuple[Path, ...]
    decode: Callable[[Size | None], ImageSet]


def image_set(
    name: str,
    train: Arrays,
    test: Arrays,
    classes: Sequence[str],
    size: Size | None = None,
) -> ImageSet:
    """Return the image set of pairs (images, labels), resized and checked, errors headed by its name.

    Raises `InputError` where shapes or labels do not fit, or where a class has test images but
    no training images.
    """
    try:
        images = ImageSet.from_arrays(_resized(train, size), _resized(test, size), classes, name)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    unknown = np.setdiff1d(images.test.labels, images.train.labels)
    if len(unknown):
        raise InputError(
            f"{name}: class {images.classes[unknown[0]]!r} has test images but no training images; "
            "add some or leave it out of the test images"
        )
    return images


def checked_source(found: object, registry: Registry[Any], name: str) -> Source:
    """Return what a source or layout called `name` found, whose decoding is checked as it is.

    Raises `TypeError` for what is no `Source`; to be called within `registry.called(name)`.
    """
    if not isinstance(found, Source) or not all(isinstance(path, Path) for path in found.files):
        raise TypeError(f"it must return a Source of paths, not {with_article(type(found).__name__)}")
    if name in registry.own:
        return found

    def decode(size: Size | None) -> ImageSet:
        with registry.called(name):
            images = found.decode(size)
            if not isinstance(images, ImageSet):
                raise TypeError(f"it must decode to an ImageSet, not {with_article(type(images).__name__)}")
        return images

    return replace(found, decode=decode)


def _resized(arrays: Arrays, size: Size | None) -> Arrays:
    return arrays if size is None else (resized(checked_images(arrays[0]), size), arrays[1])


IMAGE_SETS: Registry[Callable[[Path | None], Source]] = catalog.IMAGE_SETS


LAYOUTS: Registry[Callable[[Path], Source | None]] = catalog.LAYOUTS

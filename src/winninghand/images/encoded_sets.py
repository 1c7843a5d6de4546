"""Encoded pictures and their labels as an image set: decoded, or left where they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from winninghand.base.errors import InputError, checked_classes
from winninghand.images.checks import Int64Array, numbered
from winninghand.images.encoded import Encoded
from winninghand.images.image_set import ImageSet
from winninghand.images.pictures import Picture
from winninghand.images.preparation import Preparation
from winninghand.images.source import picture_set


def encoded_set(
    name: str, train: Encoded, test: Encoded, names: Sequence[object] | None, how: Preparation
) -> ImageSet:
    """Return the image set of encoded pictures, decoded or streamed as `how` says.

    `names` are those of the classes; without them the labels are their names. Raises `InputError` for a
    label that is no class.
    """
    try:
        if names is None:
            first, second, classes = numbered(train.labels, test.labels, (len(train), len(test)))
        else:
            classes = checked_classes(names)
            first, second = (_checked(source, len(classes)) for source in (train, test))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    if how.stream:
        from winninghand.images.streamed import streamed_set  # of which others have no need

        return streamed_set(name, (train, first), (test, second), classes, how)
    pictures = [
        [Picture(source.name(place), source.content(place)) for place in range(len(source))]
        for source in (train, test)
    ]
    return picture_set(name, (pictures[0], first), (pictures[1], second), classes, how)


def _checked(source: Encoded, classes: int) -> Int64Array:
    beyond = np.flatnonzero((source.labels < 0) | (source.labels >= classes))
    if len(beyond):
        place = int(beyond[0])
        raise InputError(
            f"{source.name(place)} has the label {source.labels[place]}, and labels must lie in "
            f"0..{classes - 1}; mend it or the names of the classes"
        )
    return source.labels.astype(np.int64)

"""An image set as notebooks show it: its classes, how many images each has, and the first of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from winninghand.base.html import Markup, html_table
from winninghand.images.checks import Int64Array, StreamedImages, UInt8Array

_MOST_CLASSES = 20
_LONGEST_SIDE, _SHOWN_SIDE = 96, 48


def image_set_html(
    title: str,
    classes: Sequence[str],
    train: Int64Array,
    test: Int64Array,
    images: UInt8Array | StreamedImages,
) -> str:
    """Return a table with a row for each of the first classes.

    `train` and `test` are labels, `images` (N, H, W, 3) those that `train` labels.
    """
    counts = [np.bincount(labels, minlength=len(classes)) for labels in (train, test)]
    rows = []
    for number, name in enumerate(classes[:_MOST_CLASSES]):
        first = np.flatnonzero(train == number)[:1]
        rows.append((name, *(f"{count[number]:,}" for count in counts), _picture(images[first])))
    more = len(classes) - len(rows)
    if more:
        rows.append((f"and {more:,} more", *(f"{count[len(rows) :].sum():,}" for count in counts), ""))
    return html_table(("class", "train", "test", "the first"), rows, title)


def _picture(images: UInt8Array) -> str:
    """Return the first of some images as HTML, nothing where there is none."""
    if not len(images):
        return ""
    picture = Image.fromarray(np.ascontiguousarray(images[0]))
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    content = base64.b64encode(buffer.getvalue()).decode()
    style = f"height: {_SHOWN_SIDE}px; image-rendering: pixelated"
    return Markup(f'<img src="data:image/png;base64,{content}" style="{style}" alt="">')

"""Contact sheets: what corrupted images look like."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from winninghand.base.errors import shown
from winninghand.corruptions import SEVERITIES, Archive, corrupt

UInt8Array = npt.NDArray[np.uint8]

_GAP = 2
_TEXT = 14
_MARGIN = 150


def contact_sheet(images: UInt8Array, names: Sequence[str], seed: int = 0) -> Image.Image:
    """Return a sheet with one row per corruption: clean, then severities 1 to 5.

    `images` is uint8 (N, H, W, 3), the first ones of a split; row i shows image i modulo N, corrupted as
    in the whole split.
    """
    return _laid_out(
        [
            images[place],
            *(
                corrupt(images[place][None], name, severity, seed=seed, start=place)[0]
                for severity in SEVERITIES
            ),
        ]
        for place, name in ((row % len(images), name) for row, name in enumerate(names))
    )


def archive_sheet(archive: Archive, images: UInt8Array, names: Sequence[str]) -> Image.Image:
    """Return a sheet of what an archive holds, with names and severities written beside it.

    One row per corruption: clean, then the archive's severities. `images` are its clean images,
    uint8 (N, H, W, 3); row i shows image i modulo N.
    """
    rows = [
        [images[place], *(archive.cell(name, severity)[place] for severity in archive.severities)]
        for place, name in ((row % len(images), name) for row, name in enumerate(names))
    ]
    sheet = _laid_out(rows)
    scale = max(1, round(64 / images.shape[1]))
    return _written_beside(_enlarged(sheet, scale), names, ["clean", *map(str, archive.severities)])


def data_uri(image: Image.Image, scale: int = 2) -> str:
    """Return the image, its pixels enlarged `scale` times, as the text of a PNG data URI."""
    buffer = io.BytesIO()
    _enlarged(image, scale).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _laid_out(rows: Iterable[Sequence[UInt8Array]]) -> Image.Image:
    """Return a white sheet with the images of each row side by side, a gap right of and below each."""
    gaps = ((0, _GAP), (0, _GAP), (0, 0))
    return Image.fromarray(
        np.vstack([np.hstack([np.pad(image, gaps, constant_values=255) for image in row]) for row in rows])
    )


def _enlarged(image: Image.Image, scale: int) -> Image.Image:
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def _written_beside(sheet: Image.Image, rows: Sequence[str], columns: Sequence[str]) -> Image.Image:
    """Return the sheet with a name left of every row and above every column."""
    font = ImageFont.load_default(_TEXT)
    margin = max(_MARGIN, *(round(font.getlength(shown(text))) + _TEXT for text in rows))
    page = Image.new("RGB", (sheet.width + margin, sheet.height + 2 * _TEXT), "white")
    page.paste(sheet, (margin, 2 * _TEXT))
    pen = ImageDraw.Draw(page)
    width, height = sheet.width / len(columns), sheet.height / len(rows)
    for number, text in enumerate(columns):
        pen.text((margin + (number + 0.5) * width, _TEXT), text, "black", font, anchor="mm")
    for number, text in enumerate(rows):
        middle = 2 * _TEXT + (number + 0.5) * height
        pen.text((margin - _TEXT / 2, middle), shown(text), "black", font, anchor="rm")
    return page

"""Contact sheets: what corrupted images look like."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from winninghand.base.chart_style import DARK, FONT, LIGHT
from winninghand.base.charts import caption_of
from winninghand.base.errors import shown
from winninghand.base.svg_room import with_dark_form, with_room
from winninghand.corruptions import (
    SEVERITIES,
    Archive,
    available_names,
    checked_severities,
    corrupt,
)
from winninghand.evaluation import CLEAN, RobustnessTable, Sample
from winninghand.images import Split

UInt8Array = npt.NDArray[np.uint8]

_GAP = 2
_TEXT = 14
_MARGIN = 150
_SIDE = 64


@dataclass(frozen=True)
class ContactSheet:
    """Rows of images with a name each, and a name above each column.

    A row's strip is uint8 (H, W, 3): images of one size side by side, `_GAP` pixels apart. `wh.save_picture`
    writes a sheet as SVG or PNG.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    strips: tuple[UInt8Array, ...]
    caption: str = ""

    @property
    def scale(self) -> int:
        """How often each pixel is shown along a side: small images are enlarged."""
        height: int = self.strips[0].shape[0]
        return max(1, round(_SIDE / height))

    @property
    def margin(self) -> int:
        """How much room the names have at the left, in pixels."""
        font = ImageFont.load_default(_TEXT)
        return max(_MARGIN, *(round(font.getlength(shown(name))) + _TEXT for name in self.names))

    @property
    def row(self) -> tuple[int, int]:
        """Width and height of a row with its gap, in pixels."""
        height, width = self.strips[0].shape[:2]
        return self.scale * (width + _GAP), self.scale * (height + _GAP)

    def texts(self) -> Iterable[tuple[str, float, float, str]]:
        """Yield each text with its place and what of it stands there: its `start`, `middle` or `end`."""
        width, height = self.row
        for number, name in enumerate(self.columns):
            yield shown(name), self.margin + (number + 0.5) * width / len(self.columns), _TEXT, "middle"
        for number, name in enumerate(self.names):
            yield shown(name), self.margin - _TEXT / 2, 2 * _TEXT + (number + 0.5) * height, "end"
        if self.caption:
            yield shown(self.caption), self.margin, 3 * _TEXT + len(self.names) * height, "start"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole sheet, in pixels."""
        width, height = self.row
        below = 2 * _TEXT if self.caption else 0
        return self.margin + width, 2 * _TEXT + len(self.names) * height + below

    def png(self) -> bytes:
        """Return the sheet as a PNG."""
        page = Image.new("RGB", self.size, LIGHT["paper"])
        font, pen = ImageFont.load_default(_TEXT), ImageDraw.Draw(page)
        for number, strip in enumerate(self.strips):
            shown_as = Image.fromarray(strip)
            shown_as = shown_as.resize(
                (shown_as.width * self.scale, shown_as.height * self.scale), Image.Resampling.NEAREST
            )
            page.paste(shown_as, (self.margin, 2 * _TEXT + number * self.row[1]))
        anchors = {"start": "lm", "middle": "mm", "end": "rm"}
        for text, x, y, anchor in self.texts():
            pen.text((x, y), text, LIGHT["ink"], font, anchor=anchors[anchor])
        buffer = io.BytesIO()
        page.save(buffer, "PNG")
        return buffer.getvalue()

    def svg(self) -> str:
        """Return the sheet as SVG text, the images within it."""
        width, height = self.size
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">',
            f'<rect width="{width}" height="{height}" fill="{LIGHT["paper"]}"/>',
        ]
        for number, strip in enumerate(self.strips):
            parts.append(
                f'<image x="{self.margin}" y="{2 * _TEXT + number * self.row[1]}" '
                f'width="{strip.shape[1] * self.scale}" height="{strip.shape[0] * self.scale}" '
                f'style="image-rendering:pixelated" href="{data_uri(Image.fromarray(strip))}"/>'
            )
        for text, x, y, anchor in self.texts():
            parts.append(
                f'<text text-anchor="{anchor}" transform="translate({x:g},{y + 0.35 * _TEXT:g})" '
                f'font-family="{escape(FONT)}" font-size="{_TEXT - 1}px" fill="{LIGHT["ink"]}">'
                f"{escape(text)}</text>"
            )
        return with_dark_form(with_room("".join([*parts, "</svg>"])), LIGHT, DARK)


def contact_sheet(
    images: Split | UInt8Array,
    corruptions: str | Sequence[str] = "common",
    severities: Iterable[int] = SEVERITIES,
    seed: int = 0,
    data: str = "",
) -> ContactSheet:
    """Return a sheet with one row per corruption: an image as it is, then under each severity.

    `images` is a split, or uint8 (N, H, W, 3), the first ones of one: row i shows image i modulo N, corrupted
    as in the whole split. The caption names the number of images and the seed, and the `data` where it is
    given. `wh.save_picture` writes the sheet as SVG or PNG. Raises `InputError` for a corruption that is not
    known or not to be had here, and for severities out of 1..5.
    """
    names, levels = available_names(corruptions), checked_severities(severities)
    if isinstance(images, Split):
        images = images.images[: len(names)]
    places = [row % len(images) for row in range(len(names))]
    strips = [
        side_by_side(
            [
                images[place],
                *(corrupt(images[place][None], name, level, seed=seed, start=place)[0] for level in levels),
            ]
        )
        for place, name in zip(places, names, strict=True)
    ]
    caption = caption_of(data, len(set(places)), seed)
    return ContactSheet(names, (CLEAN, *map(str, levels)), tuple(strips), caption)


def archive_sheet(
    archive: Archive, images: UInt8Array, names: Sequence[str], caption: str = ""
) -> ContactSheet:
    """Return a sheet of what an archive holds, one row per corruption: clean, then the archive's severities.

    `images` are its clean images, uint8 (N, H, W, 3); row i shows image i modulo N.
    """
    strips = [
        side_by_side([images[place], *(archive.cell(name, level)[place] for level in archive.severities)])
        for place, name in ((row % len(images), name) for row, name in enumerate(names))
    ]
    return ContactSheet(tuple(names), (CLEAN, *map(str, archive.severities)), tuple(strips), shown(caption))


def sample_sheet(sample: Sample, table: RobustnessTable) -> ContactSheet:
    """Return a sheet of what was measured: an image of the sample under each corruption and severity."""
    names = table.corruptions
    levels = sorted({cell.severity for cell in table.cells})
    strips = []
    for row, name in enumerate(names):
        place = row % len(sample.indices)
        strips.append(
            side_by_side(
                [sample.image(CLEAN, 0, place), *(sample.image(name, level, place) for level in levels)]
            )
        )
    return ContactSheet(names, (CLEAN, *map(str, levels)), tuple(strips))


def data_uri(image: Image.Image) -> str:
    """Return an image as the text of a PNG data URI."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def side_by_side(images: Sequence[UInt8Array]) -> UInt8Array:
    """Return images of one size side by side, a white gap between two."""
    gap = np.full((images[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for image in images for part in (image, gap)]
    return np.hstack(parts[:-1])

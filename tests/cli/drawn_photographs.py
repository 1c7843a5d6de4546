"""A folder of 400 files as people have them: four classes of drawn pictures, some broken, some no pictures.

`python tests/cli/drawn_photographs.py FOLDER` draws the one that `docs/photographs.md` shows.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("across", "à pois", "down", "rings 輪")
"""In their order: stripes across, spots, stripes down, rings."""
PICTURES = 92
"""Of each class, all of which can be read."""
BROKEN = ("cut.jpg", "deep.png", "empty.png", "text.jpg")
"""Names of the files of each class that cannot be used; deep.png has 16 bits, the others are broken."""
OTHERS = ("notes.txt", "IMG_1.HEIC", "list.csv", "clip.mov")
"""Names of the files of each class that are of other kinds."""

_ORIENTATION = 0x0112


def texture(kind: int, generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a picture of class `kind`, uint8 (height, width, 3), in two colours of its own, with noise."""
    side = min(height, width)
    y, x = np.mgrid[:height, :width] / side
    y, x = y - generator.uniform(0.3, 0.7) * height / side, x - generator.uniform(0.3, 0.7) * width / side
    turns = 2 * np.pi * generator.uniform(3, 5)
    phase = generator.uniform(0, 2 * np.pi)
    wave = {
        0: lambda: np.sin(turns * y + phase),
        1: lambda: 2 * np.sin(turns * y + phase) * np.sin(turns * x + phase) - 0.3,
        2: lambda: np.sin(turns * x + phase),
        3: lambda: np.sin(turns * np.hypot(y, x) + phase),
    }[kind]()
    share = 1 / (1 + np.exp(-6 * wave))[..., None]
    dark, bright = generator.integers(0, 110, 3), generator.integers(145, 256, 3)
    first, second = (dark, bright) if generator.random() < 0.5 else (bright, dark)
    noise = generator.normal(0, 12, (height, width, 3))
    return (share * first + (1 - share) * second + noise).clip(0, 255).astype(np.uint8)


def _jpeg(image: Image.Image, **options: object) -> bytes:
    return _encoded(image, "JPEG", quality=90, **options)


def _encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _turned_by_exif(pixels: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    return _jpeg(Image.fromarray(np.rot90(pixels).copy()), exif=exif)


def _turned_by_xmp(pixels: np.ndarray) -> bytes:
    return _jpeg(
        Image.fromarray(np.rot90(pixels, -1).copy()), xmp=b'<x:xmpmeta tiff:Orientation="8" xmlns:x="x" />'
    )


def _transparent(pixels: np.ndarray) -> bytes:
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[: len(alpha) // 5] = 0
    return _encoded(Image.fromarray(np.dstack([pixels, alpha])), "PNG")


FORMS = (
    (".jpg", lambda pixels: _jpeg(Image.fromarray(pixels))),
    (".jpeg", lambda pixels: _jpeg(Image.fromarray(pixels).convert("L"))),
    (".png", lambda pixels: _encoded(Image.fromarray(pixels).quantize(32), "PNG")),
    (".png", _transparent),
    (".JPG", lambda pixels: _jpeg(Image.fromarray(pixels).convert("CMYK"))),
    (".jpg", _turned_by_exif),
    (".jpg", _turned_by_xmp),
    (".webp", lambda pixels: _encoded(Image.fromarray(pixels), "WEBP")),
    (".bmp", lambda pixels: _encoded(Image.fromarray(pixels), "BMP")),
    (".gif", lambda pixels: _encoded(Image.fromarray(pixels).convert("P"), "GIF")),
    (".tif", lambda pixels: _encoded(Image.fromarray(pixels), "TIFF")),
    (".png", lambda pixels: _encoded(Image.fromarray(pixels).convert("LA"), "PNG")),
)
"""Suffixes, and what makes files with them of pixels: each picture of a class takes the next."""


def draw(folder: Path, seed: int = 0) -> None:
    """Draw the folder: for each class 92 pictures, four that cannot be used, four files of other kinds."""
    generator = np.random.default_rng(seed)
    for kind, name in enumerate(CLASSES):
        place = folder / name
        for number in range(PICTURES):
            suffix, encoded = FORMS[number % len(FORMS)]
            height, width = generator.integers(70, 200, 2)
            path = place / _name(number, suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(texture(kind, generator, height, width)))
        good = _jpeg(Image.fromarray(texture(kind, generator, 90, 120)))
        deep = Image.fromarray(np.full((80, 80), 40_000, np.uint16))
        contents = (good[: len(good) // 2], _encoded(deep, "PNG"), b"", b"this is no picture\n")
        for other, content in zip(BROKEN, contents, strict=True):
            (place / other).write_bytes(content)
        for other in OTHERS:
            (place / other).write_bytes(b"something else\n")


def _name(number: int, suffix: str) -> str:
    if number % 10 == 3:
        return f"2025/07/holiday {number:02}{suffix}"
    if number % 10 == 6:
        return f"été 花 {number:02}{suffix}"
    if number % 30 == 8:
        return f"tab\there {number:02}{suffix}"
    return f"IMG_{number:04}{suffix}"


if __name__ == "__main__":
    draw(Path(sys.argv[1]))

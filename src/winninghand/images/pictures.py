"""Encoded pictures (JPEG, PNG, whatever Pillow opens) decoded into one array."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from winninghand.base.errors import InputError
from winninghand.images.checks import UInt8Array
from winninghand.images.resizing import Size, resized

_PICTURES_PER_JOB = 256
_WITHOUT_EIGHT_BITS = ("I", "F")

Image.init()
_COMMON = ("JPEG", "PNG")
FORMATS = (*_COMMON, *(name for name in Image.OPEN if name not in (*_COMMON, "EPS")))
"""The formats that are read, in the order they are tried, which makes common ones twice as fast.

They are all of Pillow's but EPS, which is a program that Ghostscript would run.
"""
_SUFFIXES = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}


@dataclass(frozen=True)
class Picture:
    """A picture: its bytes, its file or opened already, and the name errors call it by."""

    name: str
    content: bytes | Path | Image.Image


def image_files(folder: Path) -> list[Path]:
    """Return the image files at any depth below a folder, told by the suffixes Pillow knows, sorted."""
    found = folder.rglob("[!.]*")
    return sorted(path for path in found if path.suffix.lower() in _SUFFIXES and path.is_file())


def decoded(pictures: Sequence[Picture], size: Size | None) -> UInt8Array:
    """Return pictures as uint8 RGB (N, H, W, 3), decoded by a pool of threads.

    With `size` (height, width) each is resized bilinearly with antialiasing; without, all must
    have the size of the first. Raises `InputError` that names the picture which is broken, too
    large to be true, deeper than 8 bits or of another size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        first = _pixels(pictures[0], None) if size is None else None
        expected = size if first is None else (first.shape[0], first.shape[1])
        assert expected is not None
        images = np.empty((len(pictures), *expected, 3), dtype=np.uint8)

        def decode_from(start: int) -> None:
            for index in range(start, min(start + _PICTURES_PER_JOB, len(pictures))):
                pixels = _pixels(pictures[index], None if size else expected)
                images[index] = resized(pixels[None], size)[0]

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(decode_from, range(0, len(pictures), _PICTURES_PER_JOB)):
                pass
    return images


def _pixels(picture: Picture, expected: Size | None) -> UInt8Array:
    """Return one picture as uint8 RGB (H, W, 3); `expected` is checked before it is decoded."""
    try:
        with _opened(picture.content) as image:
            upright = ImageOps.exif_transpose(image) if "exif" in image.info else image
            if expected is not None and upright.size != expected[::-1]:
                raise InputError(_other_size(picture.name, upright.size, expected))
            if upright.mode.startswith(_WITHOUT_EIGHT_BITS):
                raise InputError(f"{picture.name} is not an 8-bit image ({upright.mode}); convert it first")
            return np.asarray(upright.convert("RGB"))
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{picture.name} has more than {Image.MAX_IMAGE_PIXELS} pixels; shrink it") from None
    # Pillow's decoders raise nearly anything for broken data: SyntaxError, struct.error, IndexError …
    except Exception as error:
        raise InputError(
            f"{picture.name} cannot be read as an image ({error}); replace or remove it"
        ) from None


def _opened(content: bytes | Path | Image.Image) -> Image.Image:
    """Return an opened image, one that is open already as a copy."""
    if isinstance(content, Image.Image):
        return content.copy()
    return Image.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=FORMATS)


def _other_size(name: str, found: tuple[int, int], expected: Size) -> str:
    return (
        f"{name} is {found[0]}×{found[1]} pixels where the first image is {expected[1]}×{expected[0]}; "
        "make all images one size or give a size to resize them to"
    )

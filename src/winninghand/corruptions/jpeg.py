"""Images that are saved as JPEG files and read back, as the archives at 64 and 224 pixels are."""

from __future__ import annotations

import io
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from winninghand.base.errors import InputError, shown

SavedAs = Literal["pixels", "jpeg"]

ARCHIVES_QUALITY = 85


def checked_save(saved_as: object) -> str:
    """Return how images are saved, "pixels" or "jpeg"; `InputError` for anything else."""
    known = get_args(SavedAs)
    if not isinstance(saved_as, str) or saved_as not in known:
        raise InputError(f"saved_as must be one of {', '.join(known)}, not {shown(repr(saved_as))}")
    return saved_as


def saved_and_read(images: Tensor, quality: int, optimize: bool = False) -> Tensor:
    """Return images uint8 (N, H, W, 3) saved by Pillow at a quality, chroma 4:2:0, and read back.

    `optimize` asks for tables of their own, which makes files smaller and leaves the pixels alone.
    """
    result = torch.empty_like(images, device="cpu")
    pixels = result.numpy()
    for place, image in enumerate(images.cpu().numpy()):
        pixels[place] = decoded(encoded(image, quality, optimize), image.shape)
    return result.to(images.device)


def encoded(image: npt.NDArray[np.uint8], quality: int, optimize: bool = False) -> bytes:
    """Return a JPEG file of an image uint8 (H, W, 3)."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, optimize=optimize)
    return file.getvalue()


def decoded(file: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return the pixels of a JPEG file that is known to be of this shape."""
    height, width, _ = shape
    # The decoder alone: `Image.open` would read the header a second time, a third of the whole work at 32.
    return np.asarray(Image.frombytes("RGB", (width, height), file, "jpeg", "RGB", ""))

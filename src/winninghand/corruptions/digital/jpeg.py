"""`jpeg_compression`: saved at a low quality and read again."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.catalog import corruption

QUALITY = (80, 65, 58, 50, 40)


@corruption("jpeg_compression", "digital", deterministic=True)
def jpeg_compression(images: Tensor, severity: int, _: CounterRNG) -> Tensor:
    """Encode and decode every image by Pillow, at the given quality."""
    quality = QUALITY[severity - 1]
    decoded = np.stack([_saved_and_read(image, quality) for image in images.cpu().numpy()])
    return torch.from_numpy(decoded).to(images.device)


def _saved_and_read(image: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    file = io.BytesIO()
    clean = Image.fromarray(image)
    clean.save(file, "JPEG", quality=quality)
    # The decoder alone: `Image.open` would read the header a second time, a third of the whole work.
    return np.asarray(Image.frombytes("RGB", clean.size, file.getvalue(), "jpeg", "RGB", ""))

"""`digits`: 1,797 handwritten digits that come with the library, so that a first run needs no download.

`digits.npz` beside this file holds them at 8×8 pixels and 17 levels, uint8 in 0..16, with their
labels: the test set of "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998, UCI
Machine Learning Repository, doi:10.24432/C50P49, licence CC BY 4.0), unchanged but for the order.
They are divided by class at random, as scikit-learn's `train_test_split` does it with seed 0.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from winninghand.images.checks import UInt8Array, check_memory
from winninghand.images.image_set import ImageSet
from winninghand.images.preparation import Origin, Preparation
from winninghand.images.resizing import Size, at_size
from winninghand.images.source import Source, image_set

_FILE = Path(__file__).with_name("digits.npz")
_BRIGHTEST = 16


def digits(root: Path | None) -> Source:
    """Return the handwritten digits, which need no folder: 1,437 to train and 360 to test, by class."""
    return Source("digits", (), _decode)


def _decode(how: Preparation) -> ImageSet:
    """Return the digits enlarged bilinearly: to 32×32 unless the preparation says else."""
    with np.load(_FILE, allow_pickle=False) as file:
        train, test = (
            (_enlarged(file[f"{split}_images"], how.size or (32, 32), how.transform), file[f"{split}_labels"])
            for split in ("train", "test")
        )
    images = image_set("digits", train, test, [str(digit) for digit in range(10)])
    return replace(images, origin=Origin(how))


def _enlarged(levels: npt.NDArray[Any], size: Size, transform: str) -> UInt8Array:
    """Return levels 0..16, uint8 (N, 8, 8), as grey images uint8 (N, height, width)."""
    check_memory(3 * len(levels), size)  # floating point takes more than bytes
    grey = torch.from_numpy(levels).double()[:, None] * (255 / _BRIGHTEST)
    enlarged = at_size(grey, size, transform)
    images: UInt8Array = enlarged.round().to(torch.uint8)[:, 0].numpy()
    return images

"""`digits`: the handwritten digits that come with scikit-learn, so that a first run needs no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate

from winninghand.images.image_set import ImageSet
from winninghand.images.resizing import Size
from winninghand.images.source import Source, image_set

_TEST_IMAGES = 360
_BRIGHTEST = 16


def digits(root: Path | None) -> Source:
    """Return the 1,797 handwritten digits (Alpaydin and Kaynak 1998), which need no folder."""
    return Source("digits", (), _decode)


def _decode(size: Size | None) -> ImageSet:
    """Split with seed 0, stratified: 1,437 training and 360 test images, 32×32 unless `size` says else."""
    # Imported here because scikit-learn takes a second to import and nothing else needs it.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=_TEST_IMAGES, stratify=labels, random_state=0
    )
    grey = torch.from_numpy(pixels.reshape(-1, 1, 8, 8)) * (255 / _BRIGHTEST)
    enlarged = interpolate(grey, size=size or (32, 32), mode="bilinear", antialias=True)
    images = enlarged.round().to(torch.uint8)[:, 0].numpy()
    return image_set(
        "digits",
        (images[train], labels[train]),
        (images[test], labels[test]),
        [str(digit) for digit in range(10)],
    )

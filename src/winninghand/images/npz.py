"""`.npz` files with arrays of train and test images and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import InputError
from winninghand.images.image_set import ImageSet
from winninghand.images.resizing import Size
from winninghand.images.source import Source, image_set

_KEYS = ("train_images", "train_labels", "test_images", "test_labels")
Arrays = dict[str, npt.NDArray[Any]]


def npz(path: Path) -> Source | None:
    """Return the image set in an `.npz` file, or `None` for anything else.

    It holds uint8 `train_images` and `test_images` (N, H, W, 3), or grey ones (N, H, W); whole
    numbers `train_labels` and `test_labels`, (N,) or (N, 1); and, if the classes have names,
    `classes`. Nothing in it is unpickled.
    """
    if path.suffix.lower() != ".npz" or not path.is_file():
        return None
    return Source(path.stem, (path,), lambda size: _decode(path, size))


def _decode(path: Path, size: Size | None) -> ImageSet:
    arrays = _arrays(path)
    train, test = (
        (arrays[f"{split}_images"], _without_last_axis(arrays[f"{split}_labels"]))
        for split in ("train", "test")
    )
    labels = train[1]
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"{path}: train_labels must be whole numbers, not {labels.dtype}; convert them")
    classes = arrays.get("classes", np.arange(labels.max(initial=0) + 1))
    return image_set(path.stem, train, test, [str(name) for name in classes.ravel()], size)


def _arrays(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in _KEYS if key not in archive]
            if missing:
                raise InputError(f"{path} lacks {', '.join(missing)}; it holds {', '.join(archive.files)}")
            return {key: archive[key] for key in (*_KEYS, "classes") if key in archive}
    except InputError:
        raise
    # Broken archives raise nearly anything: BadZipFile, zlib.error, NotImplementedError, ValueError …
    except Exception as error:
        raise InputError(f"{path} cannot be read as an .npz file of plain arrays ({error})") from None


def _without_last_axis(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels

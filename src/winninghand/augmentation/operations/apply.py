"""Operations on a batch: compiled on the CPU, tensor code on every other device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from winninghand.augmentation.operations.blends import color_or_sharpness
from winninghand.augmentation.operations.geometry import affine_maps, warp
from winninghand.augmentation.operations.tones import look_up, tone_tables

IMAGES_PER_THREAD = 16
"""Fewer are done before another thread has started."""


def apply(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Return uint8 (B, R, H, W, 3): R renderings of each image, each through K operations in turn.

    `images` is uint8 (B, H, W, 3), `operations` int64 (B, R, K) with values of `Operation`, and
    `magnitudes` float (B, R, K). Every step works on uint8 as Pillow does, and equals it to the
    level. Both paths give the same images, whatever the number of threads.
    """
    if images.device.type == "cpu":
        return _compiled(images, operations, magnitudes)
    return apply_tensors(images, operations, magnitudes)


def apply_tensors(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Do what `apply` does in tensor code.

    An operation is an affine map, a tone table and a blend, of which all but one change nothing:
    every image goes through all three, so that no step waits to see which ones are needed.
    """
    _, height, width, _ = images.shape
    count, renderings, steps = operations.shape
    maps = affine_maps(operations, magnitudes, height, width).flatten(0, 1)
    operations, magnitudes = operations.flatten(0, 1), magnitudes.flatten(0, 1)
    rendered = images.repeat_interleave(renderings, dim=0)
    for step in range(steps):
        kind, amount = operations[:, step], magnitudes[:, step]
        rendered = warp(rendered, maps[:, step])
        rendered = look_up(rendered, tone_tables(rendered, kind, amount))
        rendered = color_or_sharpness(rendered, kind, amount)
    return rendered.reshape(count, renderings, *images.shape[1:])


def _compiled(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Do what `apply` does in compiled code, the images spread over torch's number of threads."""
    # Imported late: Numba takes most of a second, and not every domain needs it.
    from winninghand.augmentation.operations.compiled import render

    count, height, width, _ = images.shape
    rendered = torch.empty(count, operations.shape[1], height, width, 3, dtype=torch.uint8)
    maps = affine_maps(operations, magnitudes, height, width)
    arrays = [
        tensor.contiguous().numpy() for tensor in (images, operations, magnitudes.double(), maps, rendered)
    ]
    threads = max(1, min(torch.get_num_threads(), count // IMAGES_PER_THREAD))
    if threads == 1:
        render(*arrays)
        return rendered
    size = -(-count // threads)
    with ThreadPoolExecutor(threads) as pool:
        parts = ([array[start : start + size] for array in arrays] for start in range(0, count, size))
        list(pool.map(lambda part: render(*part), parts))
    return rendered

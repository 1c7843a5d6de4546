"""Chains of operations and their mixtures: compiled on the CPU, tensor code on every other device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from winninghand.augmentation.operations.blends import color_or_sharpness
from winninghand.augmentation.operations.geometry import affine_maps, warp
from winninghand.augmentation.operations.tones import look_up, tone_tables

IMAGES_PER_THREAD = 16
"""Fewer are done before another thread has started."""


def mix_chains(images: Tensor, operations: Tensor, magnitudes: Tensor, shares: Tensor) -> Tensor:
    """Return float32 (V, B, H, W, 3) in [0, 1]: V views of each image, each a mixture of chains.

    `images` is uint8 (B, H, W, 3). View v of image b is the sum of `shares` (B, V, 1 + W) of the
    image itself and of W chains; a chain is K operations in turn, `operations` int64 (B, V, W, K)
    with values of `Operation` and `magnitudes` float (B, V, W, K). Chains work on uint8 as Pillow
    does and equal it to the level (ties at some large angles, such as 45 degrees, within one); the
    mixture is not rounded. The number of threads changes nothing.
    """
    if images.device.type == "cpu":
        return mix_compiled(images, operations, magnitudes, shares)
    return mix_tensors(images, operations, magnitudes, shares)


def mix_tensors(images: Tensor, operations: Tensor, magnitudes: Tensor, shares: Tensor) -> Tensor:
    """Do what `mix_chains` does in tensor code.

    An operation is an affine map, a tone table and a blend, of which all but one change nothing:
    every chain goes through all three, so that no step waits to see which ones are needed.
    """
    count, height, width, _ = images.shape
    _, views, chains, steps = operations.shape
    maps = affine_maps(operations, magnitudes, height, width).flatten(0, 2)
    operations, magnitudes = operations.flatten(0, 2), magnitudes.flatten(0, 2)
    ends = images.repeat_interleave(views * chains, dim=0)
    for step in range(steps):
        kind, amount = operations[:, step], magnitudes[:, step]
        ends = warp(ends, maps[:, step])
        ends = look_up(ends, tone_tables(ends, kind, amount))
        ends = color_or_sharpness(ends, kind, amount)
    ends = ends.view(count, views, chains, height, width, 3).movedim(0, 2)
    portions = shares.movedim(0, 2)[..., None, None, None]
    mixtures = portions[:, 0] * images
    for chain in range(chains):
        mixtures = mixtures + portions[:, 1 + chain] * ends[:, chain]
    return mixtures.div_(255).clamp_(0, 1)


def mix_compiled(images: Tensor, operations: Tensor, magnitudes: Tensor, shares: Tensor) -> Tensor:
    """Do what `mix_chains` does in compiled code, the images spread over torch's number of threads."""
    # Imported late: Numba takes most of a second, and not every domain needs it.
    from winninghand.augmentation.operations.compiled import mix

    count, height, width, _ = images.shape
    mixtures = torch.empty(operations.shape[1], count, height, width, 3)
    maps = affine_maps(operations, magnitudes, height, width)
    tensors = (images, operations, magnitudes.double(), maps, shares.float(), mixtures)
    arrays = [tensor.contiguous().numpy() for tensor in tensors]
    threads = max(1, min(torch.get_num_threads(), count // IMAGES_PER_THREAD))
    if threads == 1:
        mix(0, count, *arrays)
        return mixtures
    size = -(-count // threads)
    with ThreadPoolExecutor(threads) as pool:
        starts = range(0, count, size)
        list(pool.map(lambda start: mix(start, min(start + size, count), *arrays), starts))
    return mixtures

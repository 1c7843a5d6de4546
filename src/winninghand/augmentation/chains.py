"""Chains of operations and their mixtures: compiled on the CPU, tensor code on every other device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.augmentation import kernels
from winninghand.augmentation.operations import affine_maps
from winninghand.augmentation.tensor_operations import mix_tensors

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


def mix_compiled(images: Tensor, operations: Tensor, magnitudes: Tensor, shares: Tensor) -> Tensor:
    """Do what `mix_chains` does in compiled code, the images spread over torch's number of threads."""
    count, height, width, _ = images.shape
    mixtures = torch.empty(operations.shape[1], count, height, width, 3)
    maps = affine_maps(operations, magnitudes, height, width)
    tensors = (images, operations, magnitudes.double(), maps, shares.float(), mixtures)
    arrays = [tensor.contiguous().numpy() for tensor in tensors]
    over_threads(kernels.mix, count, arrays)
    return mixtures


def over_threads(work: Callable[..., None], count: int, arrays: Sequence[npt.NDArray[Any]]) -> None:
    """Call `work` with a start, a stop and `arrays`, `count` images spread over torch's number of threads."""
    threads = max(1, min(torch.get_num_threads(), count // IMAGES_PER_THREAD))
    if threads == 1:
        work(0, count, *arrays)
        return
    size = -(-count // threads)
    with ThreadPoolExecutor(threads) as pool:
        starts = range(0, count, size)
        list(pool.map(lambda start: work(start, min(start + size, count), *arrays), starts))

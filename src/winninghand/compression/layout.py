"""Tensors as flat arrays in the order of their memory, for passes in which order does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

NOTHING = np.empty(0, dtype=np.bool_)


def compilable(*tensors: Tensor) -> bool:
    """Tell whether the compiled passes take these tensors: CPU, float32 or bool, dense, laid out alike."""
    first = tensors[0]
    return all(
        tensor.device.type == "cpu"
        and tensor.dtype in (torch.float32, torch.bool)
        and _strides(tensor) == _strides(first)
        and (tensor.is_contiguous() or _channels_last(tensor))
        for tensor in tensors
    )


def in_memory(tensor: Tensor) -> npt.NDArray[Any]:
    """Return a flat view of a tensor that is `compilable`."""
    plain = tensor.detach()
    return (plain if plain.is_contiguous() else plain.movedim(1, -1)).view(-1).numpy()


def _strides(tensor: Tensor) -> list[int]:
    """Return the strides that matter: those of dimensions of length 1 are whatever they happen to be."""
    return [stride for stride, length in zip(tensor.stride(), tensor.shape, strict=True) if length > 1]


def _channels_last(tensor: Tensor) -> bool:
    return tensor.ndim > 2 and tensor.movedim(1, -1).is_contiguous()

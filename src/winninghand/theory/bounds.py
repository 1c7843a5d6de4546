"""What is known of a value for whole boxes of inputs, and arithmetic that rounds outwards."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from winninghand.theory.layers import UNIT


@dataclass(frozen=True, eq=False)
class Bounds:
    """What is known of a value, for boxes of inputs (N, …), one box each.

    The target's lies in `low` .. `high`, (N, C, H, W), and its norm is `norm` at most, (N,). The ticket's is
    away from it by `error` at most, (N, C, H, W), and by `error_norm` in the Euclidean norm, (N,). Where
    the ticket has it in copies, `error` is of each of them, (N, C × copies, H, W).
    """

    low: Tensor
    high: Tensor
    norm: Tensor
    error: Tensor
    error_norm: Tensor

    @property
    def magnitude(self) -> Tensor:
        """The largest absolute value, (N, C, H, W)."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def tightened(self) -> Bounds:
        """Return the same, with norms that are not above those of the numbers' bounds."""
        return replace(
            self,
            norm=torch.minimum(self.norm, norm_of(self.magnitude)),
            error_norm=torch.minimum(self.error_norm, norm_of(self.error)),
        )


def box(low: Tensor, high: Tensor) -> Bounds:
    """Return the bounds of inputs (N, C, H, W), which ticket and target see alike."""
    low, high = low.double(), high.double()
    none = torch.zeros_like(low)
    return Bounds(low, high, low.new_full((len(low),), math.inf), none, low.new_zeros(len(low))).tightened()


def norm_of(values: Tensor) -> Tensor:
    """Return the Euclidean norm of each row of values that are not negative, rounded up."""
    norm: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return norm * (1 + (values[0].numel() + 8) * UNIT)


def root(squares: Tensor) -> Tensor:
    """Return roots that are not below the exact ones."""
    return squares.sqrt() * (1 + 16 * UNIT)


def rounded_up(values: Tensor) -> Tensor:
    """Return numbers that are not below those that were rounded to these."""
    return values + 2 * UNIT * values.abs()


def rounded_down(values: Tensor) -> Tensor:
    """Return numbers that are not above those that were rounded to these."""
    return values - 2 * UNIT * values.abs()

"""Patterns that machines run fast: which weights stay or go together, or by how many."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from winninghand.base.errors import InputError

BLOCK = 4
"""The inputs of a block: as many 8-bit products as one instruction sums into 32 bits (VNNI, SDOT)."""


@dataclass(frozen=True)
class Pattern:
    """N:M sparsity: `kept` of every `group` consecutive inputs (dimension 1) of one output and kernel place.

    Mishra et al. 2021, arXiv:2104.08378: hardware runs 2:4 at twice the speed.
    """

    kept: int
    group: int

    @property
    def sparsity(self) -> float:
        """The sparsity of a weight in which every group has the pattern."""
        return 1 - self.kept / self.group

    def fits(self, weight: Tensor) -> bool:
        """Tell whether the inputs of a weight divide into groups; one whose do not stays dense."""
        return weight.ndim > 1 and weight.shape[1] % self.group == 0

    def largest(self, values: Tensor) -> Tensor:
        """Return a bool mask of the `kept` largest values of every group; equals: the lower index first."""
        groups = values.movedim(1, -1).unflatten(-1, (-1, self.group))
        before = torch.ones(self.group, self.group, dtype=torch.bool, device=values.device).tril(-1)
        beaten = torch.zeros_like(groups, dtype=torch.int8)
        # Ranks by comparison: a sort of a few values millions of times takes far longer.
        for other in range(self.group):
            rival = groups[..., other : other + 1]
            beaten += (rival > groups) | ((rival == groups) & before[:, other])
        return (beaten < self.kept).flatten(-2).movedim(-1, 1)


@dataclass(frozen=True)
class Blocks:
    """Blocks of `size` consecutive inputs (dimension 1) of one output and kernel place stay or go together.

    Weights whose inputs do not divide into blocks, as those of a stem of three channels or of a depthwise
    convolution, go one by one. A block ranks by the root of the mean square of its weights, so that what
    is kept has the largest sum of squares for its number.
    """

    size: int = BLOCK

    def fits(self, weight: Tensor) -> bool:
        """Tell whether the inputs of a weight divide into blocks."""
        return weight.ndim > 1 and weight.shape[1] % self.size == 0

    def together(self, weight: Tensor) -> int:
        """Return how many weights of a layer stay or go together."""
        return self.size if self.fits(weight) else 1

    def magnitudes(self, values: Tensor) -> Tensor:
        """Return the root mean square of each block, (outputs, inputs / size, …); |values| without blocks."""
        if not self.fits(values):
            return values
        # Added in one order, so that every device chooses alike.
        squares = [part.square() for part in self._divided(values.detach().float()).unbind(2)]
        return (reduce(add, squares) / self.size).sqrt_().contiguous()

    def any_of(self, mask: Tensor) -> Tensor:
        """Return a bool mask of the blocks in which something is true."""
        return self._divided(mask).any(dim=2).contiguous() if self.fits(mask) else mask

    def spread(self, blocks: Tensor, like: Tensor) -> Tensor:
        """Return a bool mask of weights, laid out in memory as `like`, from one of their blocks."""
        if not self.fits(like):
            return blocks
        mask = torch.empty_like(like, dtype=torch.bool)
        self._divided(mask).copy_(blocks.unsqueeze(2))
        return mask

    def _divided(self, values: Tensor) -> Tensor:
        outputs, inputs, *places = values.shape
        return values.view(outputs, inputs // self.size, self.size, *places)


def parse_pattern(text: str) -> Pattern | Blocks | None:
    """Return the pattern of `N:M` or `block4`, None for `none`; `InputError` for anything else."""
    if text == "none":
        return None
    if text == f"block{BLOCK}":
        return Blocks()
    parts = text.split(":")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise InputError(f'pattern must be "none", "block{BLOCK}" or N:M, such as "2:4", not {text!r}')
    kept, group = (int(part) for part in parts)
    if not 0 < kept < group <= 64:
        raise InputError(f"pattern N:M needs 0 < N < M <= 64, not {text!r}")
    return Pattern(kept, group)

"""N:M sparsity: at most N weights are kept of every M that follow each other along the inputs.

Mishra et al. 2021, arXiv:2104.08378: hardware runs 2:4 at twice the speed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from winninghand.base.errors import InputError


@dataclass(frozen=True)
class Pattern:
    """`kept` of every `group` consecutive inputs (dimension 1) of one output at one kernel position."""

    kept: int
    group: int

    @classmethod
    def parse(cls, text: str) -> Pattern | None:
        """Return the pattern that `N:M` stands for, None for `none`; `InputError` for anything else."""
        if text == "none":
            return None
        parts = text.split(":")
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            raise InputError(f'pattern must be "none" or N:M, such as "2:4", not {text!r}')
        kept, group = (int(part) for part in parts)
        if not 0 < kept < group <= 64:
            raise InputError(f"pattern N:M needs 0 < N < M <= 64, not {text!r}")
        return cls(kept, group)

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

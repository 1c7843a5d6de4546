"""`gmp`: gradual magnitude pruning (Zhu & Gupta 2017, arXiv:1710.01878)."""

from __future__ import annotations

from typing import ClassVar

from winninghand.compression.method import Method, Start
from winninghand.compression.phase import Phase
from winninghand.compression.ramp import Ramp
from winninghand.compression.settings import Compression


class GradualMagnitudePruning(Method):
    """One training, in which the smallest weights go every few steps between two moments."""

    name: ClassVar[str] = "gmp"

    def plan(self, settings: Compression, epochs: int, start: Start) -> tuple[Phase, ...]:
        """Return the one phase, its sparsity rising from the present one."""
        ramp = Ramp(start.sparsity, settings.prune_from, settings.prune_until)
        return (Phase(epochs, settings.sparsity, ramp=ramp),)

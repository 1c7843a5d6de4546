"""`dense`: the network as it is, for comparison."""

from __future__ import annotations

from typing import ClassVar

from winninghand.compression.method import Method, Start
from winninghand.compression.phase import Phase
from winninghand.compression.settings import Compression


class Dense(Method):
    """One phase, nothing removed; the sparsity of the recipe is not looked at."""

    name: ClassVar[str] = "dense"

    def plan(self, settings: Compression, epochs: int, start: Start) -> tuple[Phase, ...]:
        """Return the one phase."""
        return (Phase(epochs, sparsity=0.0),)

    def respects_zeros(self, settings: Compression) -> bool:
        """Return false: all weights are trained."""
        return False

"""Sparsity that rises within a phase."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ramp:
    """A cubic rise from `start`, at the fraction `begin` of a phase, to its own sparsity at `end`."""

    start: float
    begin: float
    end: float

    def at(self, progress: float, target: float) -> float:
        """Return the sparsity at `progress`, a fraction of the phase.

        s = target + (start − target)·(1 − p)³ with p = (progress − begin) / (end − begin) clipped to
        0..1 (Zhu & Gupta 2017, arXiv:1710.01878, equation 1).
        """
        if progress >= self.end:
            return target
        rest = 1 - max(progress - self.begin, 0.0) / (self.end - self.begin)
        return target + (self.start - target) * rest**3

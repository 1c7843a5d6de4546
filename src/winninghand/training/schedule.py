"""The steps of a phase, and the learning rate at each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from winninghand.compression import Phase

if TYPE_CHECKING:
    from winninghand.recipe import Training


@dataclass(frozen=True)
class Schedule:
    """One phase in steps, numbered from 0 at the beginning of its schedule; it may be entered later."""

    phase: Phase
    per_epoch: int
    settings: Training

    @property
    def first(self) -> int:
        """The step at which the phase begins."""
        return int(self.phase.begin * self.per_epoch)

    @property
    def end(self) -> int:
        """The step after the last."""
        return self.phase.epochs * self.per_epoch

    @property
    def remembered(self) -> int | None:
        """The step before which the weights are kept for later phases."""
        return None if self.phase.remember is None else int(self.phase.remember * self.per_epoch)

    def after(self, epochs: int | None) -> int:
        """Return the step that follows so many epochs; None is the beginning of the phase."""
        return self.first if epochs is None else epochs * self.per_epoch

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        peak = self.settings.learning_rate * self.phase.rate
        return peak if self.phase.constant else cosine_with_warmup(step, self.end, peak, self.settings.warmup)


def cosine_with_warmup(step: int, steps: int, peak: float, warmup: float) -> float:
    """Return the learning rate of `step` (0-based) in a phase of `steps` steps.

    It rises linearly to `peak` over the first `warmup` fraction of the steps, then falls along a
    half cosine (Loshchilov & Hutter 2017, equation 5) and would reach 0 one step after the last.
    """
    rising = round(steps * warmup)
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    progress = (step - rising) / (steps - rising)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))

"""The learning rate, step by step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from winninghand.compression import Phase

if TYPE_CHECKING:
    from winninghand.recipe import Training


def learning_rate(phase: Phase, step: int, steps: int, settings: Training) -> float:
    """Return the learning rate of a phase's `step` (0-based) in its schedule of `steps` steps."""
    if phase.constant_rate is not None:
        return settings.learning_rate * phase.constant_rate
    return cosine_with_warmup(step, steps, settings.learning_rate, settings.warmup)


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

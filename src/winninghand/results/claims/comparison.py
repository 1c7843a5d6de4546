"""One comparison of a claim, or what it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Side = Literal["above", "below", "apart"]
"""Where a difference is said to lie: above or below a value, or away from 0."""


@dataclass(frozen=True)
class Comparison:
    """Paired differences, and where their mean is said to lie.

    `differences` are float64 (seeds, images), those of accuracies as fractions. `runs` are the names of the
    runs that they were made of, `against` of those that were subtracted. With the side `apart` the claim
    fails where the mean surely lies within `value` of 0. `exact` differences, such as those of bytes, are no
    sample of anything: they are all on the claimed side, or not. `another` says what a second seed would be.
    """

    label: str
    differences: npt.NDArray[np.float64]
    runs: tuple[str, ...]
    against: tuple[str, ...]
    side: Side = "above"
    value: float = 0.0
    exact: bool = False
    another: str | None = None

    @property
    def expected(self) -> str:
        """What is claimed of the mean, in points or percent: `above -1.00`."""
        if self.side == "apart":
            return f"not 0; the same: within {100 * self.value:.2f}"
        return f"{self.side} {100 * self.value:+.2f}".replace("+0.00", "0")


@dataclass(frozen=True)
class Missing:
    """What the study has no runs of, in a few words, so that a claim cannot hold yet."""

    what: str

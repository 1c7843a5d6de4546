"""Which classes are taken for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from winninghand.base.errors import InputError
from winninghand.evaluation.table import Interval, bootstrap


@dataclass(frozen=True)
class Confusion:
    """How many images of each class got each answer.

    `counts` has the pairs (true class, answer) that occur. Raises `InputError` where there is none.
    """

    counts: Counter[tuple[str, str]]

    def __post_init__(self) -> None:
        if not self.counts.total():
            raise InputError("a confusion table needs images whose class is known")

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Confusion:
        """Count pairs of a true class and an answer, one for each image."""
        return cls(Counter(pairs))

    @property
    def images(self) -> int:
        """The number of images."""
        return self.counts.total()

    @property
    def accuracy(self) -> Interval:
        """The fraction that was answered rightly, with its 95% bootstrap interval over images."""
        right = sum(count for (true, answer), count in self.counts.items() if true == answer)
        return bootstrap(np.arange(self.images) < right)

    def of_class(self, name: str) -> tuple[int, int]:
        """Return of one class how many images were answered rightly, and how many there are."""
        total = sum(count for (true, _), count in self.counts.items() if true == name)
        return self.counts[name, name], total

    def mistakes(self) -> list[tuple[str, str, int]]:
        """Return each mistake as true class, answer and number of images, the most frequent first."""
        wrong = [(*pair, count) for pair, count in self.counts.items() if pair[0] != pair[1]]
        return sorted(wrong, key=lambda one: (-one[2], one[0], one[1]))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the pairs that occur as plain values."""
        return [
            {"true_class": true, "class": answer, "images": count}
            for (true, answer), count in sorted(self.counts.items())
        ]

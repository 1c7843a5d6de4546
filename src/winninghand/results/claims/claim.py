"""What a claim is: a sentence, and the comparisons of runs that must all come out as it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from winninghand.results.claims.comparison import Comparison, Missing
from winninghand.results.claims.groups import Groups


class Claim(ABC):
    """A sentence about a study's runs. It holds if each of its comparisons comes out as it says.

    A subclass has a name in `CLAIMS`, which its `name` repeats. The `sentence` is in plain words, and
    `statistic` says what is compared with what.
    """

    name: ClassVar[str]
    sentence: ClassVar[str]
    statistic: ClassVar[str]

    @abstractmethod
    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Yield the comparisons that the claim stands on, and what is missing for it."""

"""`weighted`: each image is played by the cards that suit it, by as much as they do."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.decks.gate import AdaptiveSettings, Gate, GateSettings, best_shares

# A gate that may play more sets of cards is fitted as one that mixes all.
_MOST_HANDS = 1000


class WeightedSettings(AdaptiveSettings):
    """`temperature` in 10⁻⁶ .. 10⁶ divides the scores: the higher, the more equal the weights."""

    temperature: float = Field(default=1.0, ge=1e-6, le=1e6)


class Weighted(Gate):
    """Weights by the softmax of the scores, image by image; the `max_active` largest are played."""

    name: ClassVar[str] = "weighted"
    settings_type: ClassVar[type[GateSettings]] = WeightedSettings

    def hands(self) -> Tensor | None:
        """Return all sets of `max_active` cards, a set's score being the sum of theirs."""
        assert self.scores is not None
        most, cards = self.settings.max_active, len(self.scores.offset)
        if most is None or most >= cards or comb(cards, most) > _MOST_HANDS:
            return None
        sets = torch.tensor(list(combinations(range(cards), most)))
        return torch.zeros(len(sets), cards).scatter_(1, sets, 1.0)

    def weigh(self, seen: Tensor) -> Tensor:
        """Return each image's own row."""
        assert self.scores is not None
        assert isinstance(self.settings, WeightedSettings)
        scores: Tensor = self.scores(seen)
        if self.settings.temperature != 1:
            scores = scores / self.settings.temperature
        return best_shares(scores, self.settings.max_active, self.settings.confidence)

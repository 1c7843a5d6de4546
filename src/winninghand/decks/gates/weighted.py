"""`weighted`: each image is played by the cards that suit it, by as much as they do."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from winninghand.decks.gate import AdaptiveSettings, Gate, GateSettings, best_shares


class WeightedSettings(AdaptiveSettings):
    """`temperature` in 10⁻⁶ .. 10⁶ divides the scores: the higher, the more equal the weights."""

    temperature: float = Field(default=1.0, ge=1e-6, le=1e6)


class Weighted(Gate):
    """Weights by the softmax of the scores, image by image; the `max_active` largest are played."""

    name: ClassVar[str] = "weighted"
    settings_type: ClassVar[type[GateSettings]] = WeightedSettings

    def weigh(self, seen: Tensor) -> Tensor:
        """Return each image's own row."""
        assert self.scores is not None
        assert isinstance(self.settings, WeightedSettings)
        scores: Tensor = self.scores(seen)
        if self.settings.temperature != 1:
            scores = scores / self.settings.temperature
        return best_shares(scores, self.settings.max_active, self.settings.confidence)

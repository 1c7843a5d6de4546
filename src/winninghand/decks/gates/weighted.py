"""`weighted`: each image is played by the cards that suit it, by as much as they do."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.decks.gate import Gate, GateSettings


class WeightedSettings(GateSettings):
    """`temperature` in 10⁻⁶ .. 10⁶ divides the scores: the higher, the more equal the weights."""

    temperature: float = Field(default=1.0, ge=1e-6, le=1e6)


class Weighted(Gate):
    """Weights by the softmax of the scores, image by image; the `max_active` largest are played."""

    name: ClassVar[str] = "weighted"
    settings_type: ClassVar[type[GateSettings]] = WeightedSettings

    def weigh(self, spectra: Tensor) -> Tensor:
        """Return each image's own row."""
        assert self.scores is not None
        assert isinstance(self.settings, WeightedSettings)
        scores: Tensor = self.scores(spectra)
        if self.settings.temperature != 1:
            scores = scores / self.settings.temperature
        most = self.settings.max_active
        if most is None or most >= scores.shape[1]:
            return scores.softmax(dim=1)
        best, cards = scores.topk(most, dim=1)
        weights: Tensor = torch.zeros_like(scores).scatter_(1, cards, best.softmax(dim=1))
        return weights

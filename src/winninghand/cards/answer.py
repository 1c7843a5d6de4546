"""What is answered to a batch of images."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Answer(NamedTuple):
    """What a card or a deck says of N images.

    `outputs` are logits (a card's) or log-probabilities (a deck's), float (N, classes). `weights`,
    float (N, cards), rows summing to 1, say how much each card counts for each image; a card of
    weight 0 was not played on it.
    """

    outputs: Tensor
    weights: Tensor

    @property
    def passes(self) -> Tensor:
        """How many networks were run on each image, float32 (N,)."""
        return (self.weights > 0).sum(dim=1).float()

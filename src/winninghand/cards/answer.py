"""What is answered to a batch of images."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Answer(NamedTuple):
    """What a card or a deck says of N images.

    `outputs` are logits (a card's) or log-probabilities (a deck's), float (N, classes). `weights`,
    float (N, cards), rows summing to 1, say how much each card counts for each image; a card of
    weight 0 was not played on it.
    """

    outputs: Tensor
    weights: Tensor


class Answerer(Protocol):
    """What gives answers to float images (N, 3, H, W) in [0, 1], and knows its classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the outputs; empty where they are not known."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels of the images that it takes; (0, 0) where they are not known."""

    @property
    def device(self) -> torch.device:
        """Where its images must be."""

    def answer(self, images: Tensor) -> Answer:
        """Return outputs and weights of a batch of images."""

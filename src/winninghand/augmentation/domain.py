"""What every training domain is: views of a batch, and the loss over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional

from winninghand.base import catalog
from winninghand.base.registry import Registry


class Domain(BaseModel, ABC):
    """A training domain: its fields are the parameters a recipe may set.

    A subclass registers itself in `DOMAINS` under its `name`; it draws every random number from
    the generator it is handed, so that the images of a step depend on seed and step alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    name: ClassVar[str]
    overlaps: ClassVar[frozenset[str]] = frozenset()
    """Corruptions of the benchmark, or whole families of them, that the domain trains on."""

    @abstractmethod
    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return augmented views of a batch, float32 (V, B, 3, H, W) in [0, 1], on its device.

        `images` is uint8 (B, H, W, 3), and `generator` lives on their device. Every view of an image
        depends on the generator's state and that image alone, not on its neighbours. The last view is
        the one that shows the domain.
        """

    def loss(self, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the loss of the logits (V, B, classes) of all views: here, the mean cross-entropy."""
        return functional.cross_entropy(
            logits.flatten(0, 1), labels.repeat(len(logits)), label_smoothing=label_smoothing
        )


DOMAINS: Registry[type[Domain]] = catalog.DOMAINS

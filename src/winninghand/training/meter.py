"""Loss and accuracy of an epoch, summed on the device so that no step waits for the host."""

from __future__ import annotations

import time

import torch
from torch import Tensor

_STEPS_BETWEEN_CHECKS = 100


class Meter:
    """Sums over the steps of one epoch."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._images = 0
        self.steps = 0
        # The first step whose loss was not finite, found on the device without waiting for it.
        self._bad = torch.full((), -1, dtype=torch.int64, device=device)
        self._started = time.perf_counter()

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one step: its loss, and logits (B, classes) of the view that counts for accuracy."""
        self._loss += loss.detach()
        bad = ~torch.isfinite(loss.detach()) & (self._bad < 0)
        self._bad.masked_fill_(bad, self.steps)
        self._correct += (logits.detach().argmax(dim=1) == labels).sum()
        self._images += len(labels)
        self.steps += 1

    @property
    def due(self) -> bool:
        """Whether it is time to look at `first_bad_step`, which waits for the device."""
        return self.steps % _STEPS_BETWEEN_CHECKS == 0

    @property
    def first_bad_step(self) -> int | None:
        """The first step, from 0, whose loss was not finite."""
        bad = int(self._bad)
        return None if bad < 0 else bad

    def row(self) -> dict[str, float | int]:
        """Return the means of the epoch, its speed and its length."""
        seconds = time.perf_counter() - self._started
        return {
            "train_loss": float(self._loss) / self.steps,
            "train_accuracy": int(self._correct) / self._images,
            "images_per_second": self._images / seconds,
            "seconds": seconds,
        }

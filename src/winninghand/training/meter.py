"""Loss and accuracy of an epoch, summed on the device so that no step waits for the host."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from winninghand.errors import InputError


class Meter:
    """Sums over the steps of one epoch."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._images = 0
        self._steps = 0
        self._started = time.perf_counter()

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one step: its loss, and logits (B, classes) of the view that counts for accuracy."""
        self._loss += loss.detach()
        self._correct += (logits.detach().argmax(dim=1) == labels).sum()
        self._images += len(labels)
        self._steps += 1

    def row(self) -> dict[str, float | int]:
        """Return the means of the epoch, its speed and its length; `InputError` where the loss diverged."""
        loss = float(self._loss) / self._steps
        if not math.isfinite(loss):
            raise InputError(
                "the training loss is no longer finite; lower training.learning_rate and use a new folder"
            )
        seconds = time.perf_counter() - self._started
        return {
            "train_loss": loss,
            "train_accuracy": int(self._correct) / self._images,
            "images_per_second": self._images / seconds,
            "seconds": seconds,
        }

"""What a model made of a series of images, image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from winninghand.base.device import device_of
from winninghand.base.pixels import to_unit
from winninghand.decks import Deck
from winninghand.images import Split

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Some images of a split: uint8 (B, H, W, 3), labels (B,), and where they stand in the split (B,)."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    indices: Indices


@dataclass(frozen=True)
class Outcome:
    """Per image: was the model right, how sure was it, how many networks were run.

    `correct` is bool (N,), `confidence` the probability of the answer, float32 (N,) in [0, 1],
    `passes` the number of forward passes, float32 (N,); 1 for anything that is not a deck.
    """

    correct: npt.NDArray[np.bool_]
    confidence: npt.NDArray[np.float32]
    passes: npt.NDArray[np.float32]

    @property
    def accuracy(self) -> float:
        """Fraction of the images answered rightly."""
        return float(self.correct.mean())


def batches_of(split: Split, indices: Indices, batch_size: int) -> Iterator[Batch]:
    """Yield the images of a split at `indices`, in that order, `batch_size` at a time."""
    for start in range(0, len(indices), batch_size):
        some = indices[start : start + batch_size]
        yield Batch(split.images[some], split.labels[some], some)


@torch.inference_mode()
def play(
    model: nn.Module, batches: Iterable[Batch], progress: Callable[[int], None] | None = None
) -> Outcome:
    """Run a classifier over batches, on the device where its parameters are.

    `model` gives logits or log-probabilities for float images in [0, 1]; it is put into
    evaluation mode, and a deck's gate forgets what it saw before. `progress` is told the length of
    each batch done.
    """
    model.eval()
    if isinstance(model, Deck):
        model.reset()
    device = device_of(model)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for batch in batches:
        answers, passes = _answer(model, to_unit(torch.from_numpy(batch.images).to(device)))
        confidence, choice = answers.float().softmax(dim=1).max(dim=1)
        parts.append((choice == torch.from_numpy(batch.labels).to(device), confidence, passes))
        if progress is not None:
            progress(len(batch.labels))
    correct, confidence, passes = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return Outcome(correct.numpy(), confidence.numpy(), passes.numpy())


def accuracy(model: nn.Module, split: Split, batch_size: int = 256) -> float:
    """Return the top-1 accuracy of `model` on the images of a split as they stand, a fraction."""
    return play(model, batches_of(split, np.arange(len(split)), batch_size)).accuracy


def _answer(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits or log-probabilities (N, classes) of a batch, and the networks run per image (N,)."""
    if isinstance(model, Deck):
        weights = model.choose(images)
        return model.play(images, weights), (weights > 0).sum(dim=1).float()
    return model(images), torch.ones(len(images), device=images.device)

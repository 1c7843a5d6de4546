"""Evaluating model files on test images, with progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from winninghand.base.device import best_device
from winninghand.base.errors import InputError
from winninghand.cards import Card, check_batch
from winninghand.corruptions import Archive
from winninghand.decks import Deck, load
from winninghand.evaluation import RobustnessTable, available, corrupted_split, evaluate_watched, sample
from winninghand.images import ImageSet
from winninghand.report.terminal import print_missing, say


@dataclass(frozen=True)
class Measurement:
    """What is measured, whatever the model."""

    images: ImageSet
    archive: Archive | None
    corruptions: str
    severities: tuple[int, ...]
    limit: int | None
    seed: int
    batch_size: int

    def announce(self) -> None:
        """Say before the first cell where corrupted images come from, and which cannot be had.

        Raises `InputError` first where the archive is not of these images.
        """
        _, missing = available(self.corruptions, self.archive, self.severities)
        corrupted_split(
            self.images.test, sample(self.images.test, self.limit, self.seed), self.seed, self.archive
        )
        if self.archive is not None:
            say(f"archive: {self.archive.folder}; what it does not hold is generated")
        print_missing(missing)

    def of(self, name: str, model: Card | Deck) -> RobustnessTable:
        """Measure a model under a bar with its name."""
        return evaluate_watched(
            name,
            model,
            self.images.test,
            self.corruptions,
            self.severities,
            self.seed,
            self.limit,
            self.batch_size,
            self.archive,
        )


def opened(path: Path, images: ImageSet) -> Card | Deck:
    """Return the model in a file on the best device; `InputError` where it is not for these images."""
    model = load(path).to(best_device())
    if model.classes != images.classes:
        raise InputError(f"{path} knows other classes than the images of {images.name}; check --data")
    card = model.cards[0] if isinstance(model, Deck) else model
    check_batch(torch.empty(1, 3, *images.test.size), card.metadata.input_size)
    return model

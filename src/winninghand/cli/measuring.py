"""Evaluating model files on test images, with progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from winninghand.decks import load
from winninghand.device import best_device
from winninghand.errors import InputError
from winninghand.evaluation import RobustnessTable, available, evaluate
from winninghand.images import ImageSet
from winninghand.progress import progress
from winninghand.report.terminal import print_missing


@dataclass(frozen=True)
class Measurement:
    """What is measured, whatever the model."""

    images: ImageSet
    corruptions: str
    severities: tuple[int, ...]
    limit: int | None
    seed: int
    batch_size: int

    def announce(self) -> None:
        """Say before the first cell which corruptions cannot be had."""
        print_missing(available(self.corruptions)[1])

    def of(self, path: Path) -> RobustnessTable:
        """Measure the model in a file."""
        model = load(path).to(best_device())
        if model.classes != self.images.classes:
            raise InputError(
                f"{path} knows other classes than the images of {self.images.name}; check --data"
            )
        cells = 1 + len(available(self.corruptions)[0]) * len(self.severities)
        images = min(self.limit or len(self.images.test), len(self.images.test))
        with progress(path.name, cells * images) as advance:
            return evaluate(
                model,
                self.images.test,
                self.corruptions,
                self.severities,
                self.seed,
                self.limit,
                self.batch_size,
                advance,
            )

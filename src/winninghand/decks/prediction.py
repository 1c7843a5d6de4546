"""Predictions of a card or deck for image files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from winninghand.base.errors import InputError
from winninghand.base.pixels import to_unit
from winninghand.cards import Player
from winninghand.images.image_set import UInt8Array
from winninghand.images.pictures import Picture, decoded, image_files


@dataclass(frozen=True)
class Prediction:
    """The answer for one image: class, its probability in [0, 1], and the cards played, from 1."""

    path: Path
    label: str
    probability: float
    cards: tuple[int, ...]


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read as an image, and why."""

    path: Path
    reason: str


def image_paths(places: Sequence[Path]) -> list[Path]:
    """Return the files among `places`, and the image files at any depth below the folders among them.

    Raises `InputError` for a place that does not exist and for a folder without images.
    """
    paths: list[Path] = []
    for place in places:
        if not place.exists():
            raise InputError(f"there is no file or folder {place}")
        found = image_files(place) if place.is_dir() else [place]
        if not found:
            raise InputError(f"there are no image files below {place}")
        paths += found
    return paths


@torch.inference_mode()
def predict(
    model: Player,
    paths: Sequence[Path],
    batch_size: int = 64,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Prediction | Unreadable]:
    """Yield what a card or deck says of each image file, in order; images are resized as for training.

    `batch_size` images are one batch, also for a deck's gate. A file that cannot be read ends nothing:
    it is yielded as `Unreadable`. `progress` is told the length of each batch done.
    """
    for start in range(0, len(paths), batch_size):
        some = paths[start : start + batch_size]
        images, failures = _read(some, model.input_size)
        readable = [path for path in some if path not in failures]
        answers = iter(_answers(model, images, readable) if readable else ())
        yield from (failures[path] if path in failures else next(answers) for path in some)
        progress(len(some))


def _read(paths: Sequence[Path], size: tuple[int, int]) -> tuple[UInt8Array, dict[Path, Unreadable]]:
    """Return the readable images (N, H, W, 3), and the files that are not."""
    try:
        return decoded([Picture(str(path), path) for path in paths], size), {}
    except InputError:
        pass  # one of them at least: find out which
    images, failures = [], {}
    for path in paths:
        try:
            images.append(decoded([Picture(str(path), path)], size)[0])
        except InputError as error:
            failures[path] = Unreadable(path, str(error))
    return np.stack(images) if images else np.empty((0, *size, 3), np.uint8), failures


def _answers(model: Player, pixels: UInt8Array, paths: Sequence[Path]) -> list[Prediction]:
    answer = model.answer(to_unit(torch.from_numpy(pixels).to(model.device)))
    probabilities, choices = answer.outputs.softmax(dim=1).max(dim=1)
    return [
        Prediction(path, model.classes[choice], probability, tuple((cards.nonzero().squeeze(1) + 1).tolist()))
        for path, choice, probability, cards in zip(
            paths, choices.tolist(), probabilities.tolist(), (answer.weights > 0).cpu(), strict=True
        )
    ]

"""What a card or deck says of image files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from winninghand.base.device import device_of
from winninghand.base.errors import InputError
from winninghand.base.pixels import to_unit
from winninghand.cards import Card
from winninghand.decks.deck import Deck
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
    model: Card | Deck,
    paths: Sequence[Path],
    batch_size: int = 64,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Prediction | Unreadable]:
    """Yield what a model says of each image file, in order; images are resized as for training.

    `batch_size` images are looked at together, also by a deck's gate. Nothing that a file holds
    can end the run: what cannot be read is yielded as such. `progress` is told the length of each
    batch done.
    """
    for start in range(0, len(paths), batch_size):
        some = paths[start : start + batch_size]
        images, failures = _read(some, _input_size(model))
        readable = [path for path in some if path not in failures]
        answers = iter(_answers(model, images, readable) if readable else ())
        yield from (failures[path] if path in failures else next(answers) for path in some)
        progress(len(some))


def _input_size(model: Card | Deck) -> tuple[int, int]:
    card = model if isinstance(model, Card) else model.cards[0]
    return card.metadata.input_size


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


def _answers(model: Card | Deck, pixels: UInt8Array, paths: Sequence[Path]) -> list[Prediction]:
    images = to_unit(torch.from_numpy(pixels).to(device_of(model)))
    if isinstance(model, Deck):
        weights = model.choose(images)
        outputs, played = model.play(images, weights), (weights > 0).cpu()
    else:
        outputs, played = model(images), torch.ones(len(images), 1, dtype=torch.bool)
    probabilities, choices = outputs.softmax(dim=1).max(dim=1)
    return [
        Prediction(path, model.classes[choice], probability, tuple((cards.nonzero().squeeze(1) + 1).tolist()))
        for path, choice, probability, cards in zip(
            paths, choices.tolist(), probabilities.tolist(), played, strict=True
        )
    ]

"""Pictures to begin with: one of each class, of the images that come with the library or of any others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from winninghand.base.files import atomic_write
from winninghand.cards.images_for import images_for
from winninghand.cards.player import Player
from winninghand.images import load_images
from winninghand.images.checks import UInt8Array

MOST = 12


@dataclass(frozen=True)
class Samples:
    """Test images, uint8 (N, H, W, 3) of a model's input size, with the names of their classes.

    `foreign` ones show none of what the model knows.
    """

    images: UInt8Array
    labels: tuple[str, ...]
    source: str
    foreign: bool

    def save(self, path: Path) -> None:
        """Write them to one `.npz` file, whole or not at all."""
        with atomic_write(path) as tmp, tmp.open("wb") as file:
            np.savez_compressed(
                file,
                images=self.images,
                labels=np.array(self.labels),
                source=np.array(self.source),
                foreign=np.array(self.foreign),
            )

    @classmethod
    def load(cls, path: Path) -> Samples:
        """Return what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            labels = tuple(str(label) for label in file["labels"])
            return cls(file["images"], labels, str(file["source"]), bool(file["foreign"]))


def samples_for(player: Player, name: str, data: str | None = None, root: Path | None = None) -> Samples:
    """Return the first test image of each class, of the first 12 classes.

    Without `data` they are handwritten digits, which come with the library. `name` is what errors call the
    model. Raises `InputError` for images that cannot be had or do not fit the model: see `images_for`.
    """
    if data is None:
        images = load_images("digits", size=player.input_size)
    else:
        images = images_for({name: player}, data, root)
    labels = np.asarray(images.test.labels)
    there, first = np.unique(labels, return_index=True)
    places = first[:MOST]
    return Samples(
        np.stack([np.asarray(images.test.images[place : place + 1])[0] for place in places.tolist()]),
        tuple(images.classes[label] for label in there[:MOST].tolist()),
        images.name,
        foreign=images.classes != player.classes,
    )

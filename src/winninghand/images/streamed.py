"""Images that stay in their files, and are decoded when they are asked for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.images.checks import Int64Array, Places, StreamedImages, UInt8Array
from winninghand.images.encoded import TOGETHER, Encoded
from winninghand.images.image_set import ImageSet, Split
from winninghand.images.pictures import OtherSizeError, decode, is_across, pixels_of, read, rgb, turning
from winninghand.images.preparation import Origin, Preparation
from winninghand.images.random_boxes import random_box
from winninghand.images.resizing import Size
from winninghand.images.source import check_known

_GAP = 2.0
"""So many times larger than asked for is what Pillow first shrinks a large part to, by whole numbers."""


@dataclass(frozen=True, eq=False)
class StreamedPictures(StreamedImages):
    """Encoded pictures at some places, each of which is brought to `size` (height, width) by `transform`."""

    source: Encoded
    places: Int64Array
    size: Size
    transform: str = "crop"

    @property
    def shape(self) -> tuple[int, int, int, int]:  # type: ignore[override]
        """That of the array which they would be."""
        return len(self.places), *self.size, 3

    def __getitem__(self, places: Places) -> UInt8Array:
        """Return the images at some places, uint8 (…, H, W, 3), brought to size as those of a test are."""
        chosen = np.asarray(self.places[places])
        pictures = [self.source.picture(place) for place in chosen.reshape(-1).tolist()]
        if not pictures:
            return np.empty((0, *self.size, 3), np.uint8)
        found = decode(pictures, self.size, self.transform)
        if found.broken:
            raise found.broken[0][1]
        return found.images.reshape(*chosen.shape, *self.size, 3)

    def random_crop(self, place: int, draws: npt.NDArray[np.float32]) -> UInt8Array:
        """Return a random part of one image, uint8 (H, W, 3); a part smaller than `size` is enlarged.

        A JPEG file is decoded at the smallest of its four scales at which the part is no smaller than
        `size`. The part is resized bilinearly with antialiasing.
        """

        def cropped(image: Image.Image) -> UInt8Array:
            wanted = self.size[::-1] if is_across(image) else self.size
            width, height = image.size
            top, left, *cut = random_box((height, width), wanted, draws)
            ratio = min(cut[0] / wanted[0], cut[1] / wanted[1])
            part = next((part for part in (8, 4, 2) if part <= ratio), 1)
            if part > 1:
                image.draft(None, (width // part, height // part))
            image.load()
            turn = turning(image)
            if image.mode not in ("RGB", "L") or image.has_transparency_data:
                image = Image.fromarray(rgb(image))
            across, down = image.width / width, image.height / height
            box = (left * across, top * down, (left + cut[1]) * across, (top + cut[0]) * down)
            resized = image.resize(wanted[::-1], Image.Resampling.BILINEAR, box, reducing_gap=_GAP)
            return turn(pixels_of(resized))

        return read(self.source.picture(int(self.places[place])), cropped)

    def order(self, generator: torch.Generator) -> Tensor:
        """Return all places in a random order.

        Pictures that are read in groups: groups follow one another in a random order, as many as `TOGETHER`
        holds are a window, and within it the order of pictures is random.
        """
        order, groups = super().order(generator), self.source.groups()
        if groups is None:
            return order
        of_place = torch.from_numpy(groups[0][self.places])
        present, of_place = of_place.unique(return_inverse=True)
        lengths = torch.from_numpy(groups[1])[present]
        drawn = torch.randperm(len(present), generator=generator)
        windows = torch.empty_like(drawn)
        windows[drawn] = (lengths[drawn].cumsum(0) - lengths[drawn]) // TOGETHER
        return order[windows[of_place[order]].argsort(stable=True)]

    def take(self, places: Int64Array) -> StreamedPictures:
        """Return those at some places; nothing is decoded."""
        return replace(self, places=self.places[places])

    def stamp(self) -> bytes:
        """Return what tells the pictures from others, and the way they are brought to size."""
        return f"{self.transform}\n".encode() + self.source.stamp(self.places)


def streamed_split(source: Encoded, labels: Int64Array, how: Preparation) -> Split:
    """Return a split of pictures that stay where they are; nothing is decoded."""
    if how.skip_broken:
        raise InputError(
            "streamed images are not read before they are needed, so that broken ones cannot be left out; "
            "leave out --skip-broken or --stream (in Python and in a recipe skip_broken, stream)"
        )
    if how.size is None:
        raise OtherSizeError(
            "streamed images are brought to one size; give it, such as --size 224 (in Python size=224, "
            "in a recipe images.size)"
        )
    source.groups()  # refuses what would fill the memory
    # Pillow warns of all that is odd about a picture, in the middle of a training. Its threads share filters.
    warnings.filterwarnings("ignore", category=Warning, module=r"PIL\.")
    return Split(StreamedPictures(source, np.arange(len(source)), how.size, how.transform), labels)


def streamed_set(
    name: str,
    train: tuple[Encoded, Int64Array],
    test: tuple[Encoded, Int64Array],
    classes: tuple[str, ...],
    how: Preparation,
) -> ImageSet:
    """Return the image set of encoded pictures and their labels, all of which stay where they are."""
    splits = [streamed_split(*part, how) for part in (train, test)]
    check_known(name, train[1], test[1], classes)
    return ImageSet(splits[0], splits[1], classes, name, Origin(how))

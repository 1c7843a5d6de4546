"""Images that stay in their files, and are decoded when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from winninghand.base.errors import InputError
from winninghand.images.checks import Int64Array, Places, StreamedImages, UInt8Array
from winninghand.images.pictures import Picture, decode, is_across, read, rgb, turning
from winninghand.images.random_boxes import random_box
from winninghand.images.resizing import Size

_GAP = 2.0
"""So many times larger than asked for is what Pillow first shrinks a large part to, by whole numbers."""


@dataclass(frozen=True, eq=False)
class PictureFiles(StreamedImages):
    """Image files below `folder`, each of which is brought to `size` (height, width) by `transform`.

    `names` are their paths from there.
    """

    folder: Path
    names: tuple[str, ...]
    size: Size
    transform: str = "crop"

    @property
    def shape(self) -> tuple[int, int, int, int]:  # type: ignore[override]
        """That of the array which they would be."""
        return len(self.names), *self.size, 3

    def __getitem__(self, places: Places) -> UInt8Array:
        """Return the images at some places, uint8 (…, H, W, 3), brought to size as those of a test are."""
        chosen = np.arange(len(self.names))[places]
        pictures = [self._picture(place) for place in chosen.reshape(-1).tolist()]
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
            return turn(np.asarray(resized.convert("RGB")))

        return read(self._picture(place), cropped)

    def take(self, places: Int64Array) -> PictureFiles:
        """Return those at some places; nothing is decoded."""
        names = tuple(self.names[place] for place in places.tolist())
        return PictureFiles(self.folder, names, self.size, self.transform)

    def stamp(self) -> bytes:
        """Return names and lengths of the files, and the way they are brought to size."""
        lengths = (f"{Path(name).as_posix()} {self._length(name)}" for name in self.names)
        text = "\n".join([self.transform, *lengths])
        return text.encode("utf-8", "surrogateescape")

    def _picture(self, place: int) -> Picture:
        path = self.folder / self.names[place]
        return Picture(str(path), path)

    def _length(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_size
        except OSError as error:
            raise InputError(f"{self.folder / name} cannot be read ({error.strerror}); put it back") from None

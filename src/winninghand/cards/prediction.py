"""What a card or a deck says of images: files, pictures in memory, arrays of bytes, tensors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from winninghand.base.device import to_unit
from winninghand.base.errors import InputError, checked_path
from winninghand.cards.answer import Answerer
from winninghand.images.checks import UInt8Array
from winninghand.images.pictures import Other, Picture, check_size, decode, image_files, left_out
from winninghand.images.resizing import Size, at_size, resized

_LOG = logging.getLogger(__name__)

OneOrMore: TypeAlias = Path | str | Image | UInt8Array | Tensor
"""An image or several in one: a file, a folder, a picture of Pillow, pixels."""

_FORMS = (
    "give a file, a folder, a picture of Pillow, a uint8 array (H, W, 3) or (N, H, W, 3), a float tensor "
    "(3, H, W) or (N, 3, H, W) in [0, 1], or a list of these"
)


@dataclass(frozen=True)
class Prediction:
    """The answer for one image: class, its probability in [0, 1], and the cards played, from 1.

    `top` holds the likeliest classes with their probabilities, the class itself first; `path` is
    the image's file, None where it had none.
    """

    path: Path | None
    label: str
    probability: float
    cards: tuple[int, ...]
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read as an image, and why."""

    path: Path
    reason: str


def image_paths(places: Sequence[Path]) -> list[Path]:
    """Return the files among `places`, and the image files at any depth below the folders among them.

    How many other files the folders hold is logged in one line. Raises `InputError` for a place that
    does not exist and for a folder without images.
    """
    paths: list[Path] = []
    others: list[Other] = []
    for place in places:
        if not place.exists():
            raise InputError(f"there is no file or folder {place}")
        found, beside = image_files(place) if place.is_dir() else ([place], [])
        if not found:
            also = f": {left_out(beside)}" if beside else ""
            raise InputError(
                f"there are no image files below {place}{also}; give images, or a folder of them"
            )
        paths += found
        others += beside
    if others:
        _LOG.warning("%s", left_out(others))
    return paths


def predict(
    player: Answerer, images: OneOrMore | Sequence[OneOrMore], top: int = 1, batch_size: int = 64
) -> list[Prediction]:
    """Return what a card or deck says of each image, in order: see `Card.predict`."""
    answers: list[Prediction] = []
    for answer in predictions(player, images, batch_size, top=top):
        if isinstance(answer, Unreadable):
            raise InputError(answer.reason)
        answers.append(answer)
    return answers


@torch.inference_mode()
def predictions(
    player: Answerer,
    images: OneOrMore | Sequence[OneOrMore],
    batch_size: int = 64,
    progress: Callable[[int], None] = lambda _: None,
    top: int = 1,
) -> Iterator[Prediction | Unreadable]:
    """Yield what a card or deck says of each image, in order; images are brought to size as for training.

    `batch_size` images are one batch, also for a deck's gate. A file that cannot be read ends nothing:
    it is yielded as `Unreadable`. `progress` is told the length of each batch done. Raises
    `InputError`, before the first batch, for images of another form or range.
    """
    for name, value in (("top", top), ("batch size", batch_size)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"{name} must be a whole number of at least 1, not {value!r}")
    items, transform = list(_single(images)), _transform_of(player)
    for start in range(0, len(items), batch_size):
        some = items[start : start + batch_size]
        read = _read(some, player.input_size, transform)
        batch = [pixels for pixels in read if not isinstance(pixels, Unreadable)]
        answers = iter(_answers(player, batch, top) if batch else ())
        for item, pixels in zip(some, read, strict=True):
            if isinstance(pixels, Unreadable):
                yield pixels
            else:
                yield Prediction(item if isinstance(item, Path) else None, *next(answers))
        progress(len(some))


_Single: TypeAlias = Path | Image | UInt8Array | Tensor


def _single(images: object) -> Iterator[_Single]:
    """Yield images one by one: Path, picture, uint8 (H, W, 3), or float (3, H, W) in [0, 1]."""
    match images:
        case str() | Path():
            yield from image_paths([checked_path("an image", images)])
        case Image():
            yield images
        case np.ndarray():
            yield from _arrays(images)
        case Tensor():
            yield from _tensors(images)
        case list() | tuple():
            for image in images:
                if isinstance(image, list | tuple):
                    raise InputError(f"a list within a list is no image; {_FORMS}")
                yield from _single(image)
        case _:
            raise InputError(f"{type(images).__name__} is no image; {_FORMS}")


def _arrays(array: UInt8Array) -> Iterator[UInt8Array]:
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.shape[-1] != 3 or not array.size:
        raise InputError(f"an array must be uint8 (H, W, 3), not {array.dtype} {array.shape}; {_FORMS}")
    check_size("an image", array.shape[-2], array.shape[-3])
    yield from array.reshape(-1, *array.shape[-3:])


def _tensors(tensor: Tensor) -> Iterator[Tensor]:
    if not tensor.is_floating_point() or tensor.ndim not in (3, 4) or tensor.shape[-3] != 3:
        raise InputError(f"a tensor must be float (3, H, W), not {tensor.dtype} {(*tensor.shape,)}; {_FORMS}")
    if not tensor.numel():
        raise InputError(f"a tensor of shape {(*tensor.shape,)} holds no image")
    check_size("an image", tensor.shape[-1], tensor.shape[-2])
    low, high = (float(end) for end in torch.aminmax(tensor.detach()))
    if not (low >= 0 and high <= 1):
        raise InputError(f"the pixels of a tensor must lie in [0, 1], not {low:g} to {high:g}; divide by 255")
    yield from tensor.detach().float().reshape(-1, *tensor.shape[-3:])


def _transform_of(player: object) -> str:
    """Return how images are brought to the size of a player: as for its first card's training."""
    cards = getattr(player, "cards", ())
    transform: str = cards[0].metadata.preparation.transform if cards else "crop"
    return transform


def _read(items: Sequence[_Single], size: Size, transform: str) -> list[Tensor | Unreadable]:
    """Return each image as float (3, *size) in [0, 1], or why its file is none."""
    places = [place for place, item in enumerate(items) if isinstance(item, Path | Image)]
    pictures = [_picture(item) for item in items if isinstance(item, Path | Image)]
    pixels: dict[int, Tensor] = {}
    failures: dict[int, Unreadable] = {}
    if pictures:
        found = decode(pictures, size, transform)
        # They are cut already, and must not be cut again.
        pixels = {
            places[index]: to_unit(torch.from_numpy(image.copy()))
            for index, image in zip(found.kept, found.images, strict=True)
        }
        for index, error in found.broken:
            content = pictures[index].content
            if not isinstance(content, Path):
                raise error
            failures[places[index]] = Unreadable(content, str(error))
    ready: dict[int, Tensor | Unreadable] = {**pixels, **failures}
    return [
        ready[place] if place in ready else _sized(item, size, transform) for place, item in enumerate(items)
    ]


def _picture(item: Path | Image) -> Picture:
    name = str(item) if isinstance(item, Path) else f"the picture of {item.width} × {item.height} pixels"
    return Picture(name, item)


def _sized(image: object, size: Size, transform: str) -> Tensor:
    if isinstance(image, Tensor):
        return at_size(image[None], size, transform)[0].clamp(0, 1)
    assert isinstance(image, np.ndarray)
    return to_unit(torch.from_numpy(resized(image[None], size, transform)[0].copy()))


def _answers(
    player: Answerer, batch: Sequence[Tensor], top: int
) -> Iterator[tuple[str, float, tuple[int, ...], tuple[tuple[str, float], ...]]]:
    """Yield label, probability, cards played and the likeliest classes of each image of a batch."""
    images = torch.stack([image.to(player.device) for image in batch])
    # The layout in which networks see images everywhere else, so that they give the same bits.
    answer = player.answer(images.contiguous(memory_format=torch.channels_last))
    # Stable, so that of classes that are equally likely the first comes first.
    ordered, order = answer.outputs.float().softmax(dim=1).sort(dim=1, descending=True, stable=True)
    if not bool(ordered.isfinite().all()):
        raise InputError("the model gives no probabilities, but NaN; its weights or statistics are damaged")
    played = (answer.weights > 0).cpu()
    for probabilities, choices, cards in zip(ordered.tolist(), order.tolist(), played, strict=True):
        labels = (player.classes[choice] for choice in choices[:top])
        likeliest = tuple(zip(labels, probabilities[:top], strict=True))
        yield *likeliest[0], tuple((cards.nonzero().squeeze(1) + 1).tolist()), likeliest

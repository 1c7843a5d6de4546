"""Corruptions and training domains as transform modules, for torchvision's v2 and DataLoader workers.

Both take images channels first, as torchvision does: tensors (3, H, W) or (N, 3, H, W), uint8 in
0..255 or floating point in [0, 1], on any device, or Pillow images. The same kind, type and layout
comes back; grey images come back with three channels. Floating point is rounded to 256 levels,
which is what corruptions and domains work on. Further inputs, such as labels, are passed through.

What is random about an image depends on `seed` and on the image's index where one is given. Without
an index it is drawn from torch's global generator: other images at every call and in every worker,
the same ones again after the same `torch.manual_seed`, or with the same `generator=` of a DataLoader.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from winninghand.augmentation import augment, make_domain, seeded_generator
from winninghand.base.device import to_bytes
from winninghand.base.errors import InputError, checked_whole
from winninghand.base.randomness import CounterRNG, Indices, image_indices
from winninghand.corruptions import (
    checked_parameters,
    checked_save,
    checked_severity,
    corrupt,
    missing_corruptions,
)
from winninghand.images.pictures import rgb

Picture = TypeVar("Picture", Tensor, Image.Image)

_TOLERANCE = 0.01
_LARGEST_DRAW = 2**62


class _Transform(nn.Module, ABC):
    """What both modules share: any kind of image brought to uint8 (N, H, W, 3), and back."""

    def forward(self, image: Picture, *others: Any, index: int | Indices | None = None) -> Any:  # noqa: ANN401
        """Return the changed image, or a tuple of it and the `others` where there are any.

        `index` is the image's place in its data set, or N of them for a batch. Raises `InputError`
        for images of another shape, type or range, and for an index that does not fit.
        """
        changed = self._of_picture(image, index) if isinstance(image, Image.Image) else self._of(image, index)
        return (changed, *others) if others else changed

    def _of_picture(self, picture: Image.Image, index: int | Indices | None) -> Image.Image:
        pixels = torch.from_numpy(rgb(picture).copy())[None]
        return Image.fromarray(self._changed(pixels, _order(index, 1, single=True))[0].numpy())

    def _of(self, image: Tensor, index: int | Indices | None) -> Tensor:
        _check(image)
        single = image.ndim == 3
        batch = image.as_subclass(Tensor)[None] if single else image.as_subclass(Tensor)
        pixels = _levels(batch).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous()
        changed = self._changed(pixels, _order(index, len(batch), single)).permute(0, 3, 1, 2).contiguous()
        if image.is_floating_point():
            changed = changed.to(image.dtype) / 255
        # A tensor of a class of its own, such as torchvision's `Image`, stays one.
        return (changed[0] if single else changed).as_subclass(type(image))

    @abstractmethod
    def _changed(self, images: Tensor, indices: Tensor | None) -> Tensor:
        """Return uint8 images (N, H, W, 3) changed; `indices` is int64 (N,), or None to draw at random."""


class Corrupt(_Transform):
    """A corruption at one severity, or at one of several that is drawn for every image.

    `severity` is a whole number in 1..5, or a sequence of them such as `range(1, 6)`. With an
    index the result is that of `wh.corrupt` at this seed and index. `parameters` and `saved_as` are
    those of `wh.corrupt`. Raises `InputError` for an unknown name, a severity outside 1..5, and a
    corruption that this machine cannot apply.
    """

    def __init__(
        self,
        name: str,
        severity: int | Sequence[int],
        seed: int = 0,
        parameters: str = "auto",
        saved_as: str = "pixels",
    ) -> None:
        super().__init__()
        for reason in missing_corruptions([name]).values():
            raise InputError(reason)
        levels = list(severity) if isinstance(severity, Sequence) else [severity]
        if not levels:
            raise InputError("no severity is given; give one of 1 to 5, or several")
        self.name = name
        self.severities = tuple(checked_severity(level) for level in levels)
        self.seed = checked_whole("seed", seed)
        self.published, self.saved_as = checked_parameters(parameters), checked_save(saved_as)

    def extra_repr(self) -> str:
        """Return the settings as they are given."""
        severity = self.severities[0] if len(self.severities) == 1 else self.severities
        return f"{self.name!r}, severity={severity}, seed={self.seed}"

    def _changed(self, images: Tensor, indices: Tensor | None) -> Tensor:
        order = torch.randint(_LARGEST_DRAW, (len(images),)) if indices is None else indices
        if len(self.severities) == 1:
            return self._corrupted(images, self.severities[0], order)
        result = torch.empty_like(images)
        drawn = CounterRNG(f"{self.seed}/{self.name}/severity", order).integers(len(self.severities))
        for place in drawn.unique().tolist():
            chosen = drawn == place
            part = images[chosen.to(images.device)]
            result[chosen.to(images.device)] = self._corrupted(part, self.severities[place], order[chosen])
        return result

    def _corrupted(self, images: Tensor, severity: int, order: Tensor) -> Tensor:
        return corrupt(images, self.name, severity, self.seed, 0, order, self.published, self.saved_as)


class Domain(_Transform):
    """A training domain's augmentation, its flip and padded crop included.

    `name` is a domain's name, or a table of its name and parameters such as `{"name": "augmix",
    "severity": 2}`. With an index the result is that of `wh.augment` at this seed and index. Each
    index that does not follow the one before then takes as long as 64 images. Raises `InputError`
    for an unknown name or parameter.
    """

    def __init__(self, name: str | Mapping[str, object], seed: int = 0) -> None:
        super().__init__()
        self.domain = make_domain(name)
        self.table = {"name": name} if isinstance(name, str) else dict(name)
        self.seed = checked_whole("seed", seed)

    def extra_repr(self) -> str:
        """Return the settings as they are given."""
        return f"{self.table}, seed={self.seed}"

    def _changed(self, images: Tensor, indices: Tensor | None) -> Tensor:
        if indices is None:
            draw = int(torch.randint(_LARGEST_DRAW, ()))
            views = self.domain.views(images, seeded_generator(self.seed, draw, images.device))
            return to_bytes(views[-1])
        # Each run of consecutive indices is one call.
        breaks = (indices.diff() != 1).nonzero().flatten() + 1
        parts = zip(images.tensor_split(breaks), indices.tensor_split(breaks), strict=True)
        return torch.cat([augment(part, self.table, self.seed, int(run[0])) for part, run in parts])


def _check(image: Tensor) -> None:
    if not isinstance(image, Tensor):
        raise InputError(f"images must be tensors or Pillow images, not {type(image).__name__}")
    shape = tuple(image.shape)
    if len(shape) not in (3, 4) or shape[-3] not in (1, 3) or 0 in shape:
        raise InputError(
            f"images must have the shape (3, H, W) or (N, 3, H, W), not {shape}; "
            "wh.corrupt and wh.augment take channels last"
        )
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise InputError(f"images must be uint8 or floating point, not {image.dtype}; convert them first")


def _levels(batch: Tensor) -> Tensor:
    """Return uint8 images as they are, and those in [0, 1] as uint8, rounded to the nearest level."""
    if batch.dtype == torch.uint8:
        return batch
    lowest, highest = (float(value) for value in batch.aminmax())
    if not (lowest >= -_TOLERANCE and highest <= 1 + _TOLERANCE):
        raise InputError(
            f"floating point images must lie in [0, 1], not {lowest:.3g}..{highest:.3g}; "
            "put this transform before the normalisation"
        )
    return batch.float().mul(255).round_().clamp_(0, 255).byte()


def _order(index: int | Indices | None, count: int, single: bool) -> Tensor | None:
    """Return the indices as int64 (count,); a single image has a single one."""
    if index is None:
        return None
    order = torch.as_tensor(index)
    return image_indices(order[None] if single and order.ndim == 0 else order, count, 0)

"""Training domains: views of a batch and the loss over them; the plainest is `clean`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from torch.nn import functional

from winninghand.base import catalog
from winninghand.base.device import to_unit
from winninghand.base.errors import InputError, first_error
from winninghand.base.registry import Registry, nearest


class Domain(BaseModel, ABC):
    """A training domain: its fields are the parameters a recipe may set.

    A subclass has a name in `DOMAINS`, which its `name` repeats. It draws every random number from
    the generator it is handed, so that the images of a step depend on seed and step alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    name: ClassVar[str]
    overlaps: ClassVar[frozenset[str]] = frozenset()
    """Corruptions of the benchmark, or whole families of them, that the domain trains on."""
    mixes: ClassVar[bool] = True
    """Whether views of an image depend on other images of its batch."""

    @abstractmethod
    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return augmented views of a batch, float32 (V, B, 3, H, W) in [0, 1], on its device.

        `images` is uint8 (B, H, W, 3), and `generator` lives on their device. Every view of an image
        depends on the generator's state and that image alone, not on its neighbours, unless the domain
        `mixes` images of a batch. The last view is the one that shows the domain.
        """

    def plain(self) -> Domain:
        """Return the domain without padding, crop and flip: it shows its own change of an image alone.

        So a test image would come; here, the domain itself.
        """
        return self

    def loss(self, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the loss of the logits (V, B, classes) of all views: here, the mean cross-entropy."""
        return functional.cross_entropy(
            logits.flatten(0, 1), labels.repeat(len(logits)), label_smoothing=label_smoothing
        )


DOMAINS: Registry[type[Domain]] = catalog.DOMAINS


def make_domain(spec: str | Mapping[str, object]) -> Domain:
    """Return the domain that `spec` describes: its name, or a mapping of `name` and its parameters.

    Raises `InputError` where the name or a parameter is unknown, with the nearest known one, and
    where a value has the wrong type or lies out of range.
    """
    settings = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
        raise InputError('domain must be a name or a table with a name, such as {name = "augmix"}')
    parameters = {str(key): value for key, value in settings.items() if key != "name"}
    kind = DOMAINS[str(settings["name"])]
    _refuse_unknown(parameters, kind)
    try:
        return kind.model_validate(parameters)
    except ValidationError as error:
        raise InputError(f"domain {kind.name!r}: {first_error(error)}") from None


def _refuse_unknown(parameters: Mapping[str, object], kind: type[Domain]) -> None:
    known = list(kind.model_fields)
    for key in parameters:
        if key not in known:
            raise InputError(f"domain {kind.name!r} has no parameter {key!r}; {nearest(key, known)}")


class Clean(Domain):
    """Random horizontal flip and a random crop from the padded image."""

    name: ClassVar[str] = "clean"
    mixes: ClassVar[bool] = False

    padding: int = Field(default=4, ge=0)
    flip: bool = True

    def plain(self) -> Domain:
        """Return the domain with neither padding, and so no crop, nor flip."""
        return self.model_copy(update={"padding": 0, "flip": False})

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view: the images, flipped and cropped."""
        return to_unit(flip_and_crop(images, generator, self.padding, self.flip))[None]


def flip_and_crop(images: Tensor, generator: torch.Generator, padding: int, flip: bool) -> Tensor:
    """Return uint8 (B, H, W, 3): each image flipped with probability ½ and shifted by up to `padding`.

    What a shift uncovers is black, as in the usual padded crop (He et al. 2016, section 4.2).
    """
    count, height, width, _ = images.shape
    device = images.device
    padded = functional.pad(images, (0, 0, padding, padding, padding, padding)) if padding else images
    offsets = torch.randint(2 * padding + 1, (2, count), generator=generator, device=device)
    # All windows of an image as a view, of which one is taken: rows of pixels are copied whole.
    windows = padded.unfold(1, height, 1).unfold(2, width, 1).movedim(3, -1)
    crops = windows[torch.arange(count, device=device), offsets[0], offsets[1]]
    if not flip:
        return crops
    flipped = torch.rand(count, 1, 1, 1, generator=generator, device=device) < 0.5
    return torch.where(flipped, crops.flip(2), crops)

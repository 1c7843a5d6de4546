"""How images are brought to one size and divided: said once, and kept by runs and cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from winninghand.base.errors import LARGEST, InputError, counted, first_error
from winninghand.images.resizing import Size, checked_size, checked_transform, shorter_side

DRAWN = "drawn_test_digest"
"""Beside a preparation, in a card: the digest of the test images, where they were drawn."""

_Side = Annotated[int, Field(ge=1, le=8192)]


class Preparation(BaseModel):
    """The `[images]` table of a recipe: what `load_images` takes beside the images' place.

    All images are brought to `size` (height, width) by `transform`: `crop` cuts out the largest part in the
    middle that has the shape wanted, `squash` keeps everything and changes proportions, `pad` keeps
    everything and fills up with black. `resize256`, of any such number, is what published evaluations of
    ImageNet's networks do: the shorter side is brought to 256 pixels, and `size`, no larger than that, cut
    out of the middle, to the level as torchvision's `Resize(256)` and `CenterCrop(224)` do it to upright RGB
    pictures of Pillow. Without a size they keep their own. `skip_broken` leaves out files that cannot be
    read. `stream` leaves all images in their files, from which they are decoded when they are needed. Where a
    folder names no test images, `test_fraction` of each class is drawn by `split_seed`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    size: tuple[_Side, _Side] | None = None
    transform: Annotated[str, AfterValidator(checked_transform)] = "crop"
    skip_broken: Annotated[bool, Field(strict=True)] = False
    test_fraction: float = Field(default=0.2, gt=0, lt=1, strict=True)
    split_seed: int = Field(default=0, ge=0, le=LARGEST, strict=True)
    stream: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _can_be_cut(self) -> Preparation:
        shorter = shorter_side(self.transform)
        if shorter is not None and self.size is not None and max(self.size) > shorter:
            height, width = self.size
            raise InputError(
                f"{height}×{width} pixels cannot be cut out of images whose shorter side {self.transform} "
                f"makes {shorter}; give a smaller size, or resize{max(self.size)}"
            )
        return self


@dataclass(frozen=True)
class Origin:
    """How an image set came to be.

    `drawn` says that its test images were drawn from all, as the preparation says; `joined` that images kept
    for validation were put to those to train on. `broken` says of each file that was left out what is wrong
    with it, `transparent` counts the images that were laid on white.
    """

    preparation: Preparation
    drawn: bool = False
    joined: bool = False
    broken: tuple[str, ...] = ()
    transparent: int = 0

    def remarks(self) -> list[str]:
        """Return what is worth saying of it, in words."""
        said = []
        if self.preparation.stream:
            said.append("streamed from their files")
        if self.drawn:
            fraction, seed = self.preparation.test_fraction, self.preparation.split_seed
            said.append(f"test images drawn: {fraction:g} of each class by seed {seed}")
        if self.joined:
            said.append("images for validation are among those to train on")
        if self.transparent:
            said.append(f"{counted(self.transparent, 'image')} with transparent parts laid on white")
        if self.broken:
            said.append(f"left out as broken: {len(self.broken):,}")
        return said


def make_preparation(
    size: int | Size | None = None,
    transform: str = "crop",
    skip_broken: bool = False,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    stream: bool = False,
) -> Preparation:
    """Return the preparation of these settings, checked; `InputError` names the first that cannot be."""
    settings = {
        "transform": transform,
        "skip_broken": skip_broken,
        "test_fraction": test_fraction,
        "split_seed": split_seed,
        "stream": stream,
    }
    try:
        return Preparation.model_validate({**settings, "size": checked_size(size)})
    except ValidationError as error:
        raise InputError(first_error(error)) from None

"""What a card knows of itself besides its weights."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import numpy as np
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)
from torch import Tensor, nn

from winninghand.base.deprecation import renamed
from winninghand.base.errors import InputError, checked_classes, first_error, shown
from winninghand.cards.quantization import WeightFormat
from winninghand.images.preparation import Preparation
from winninghand.networks import architecture_of, recognised

# Far beyond what images in [0, 1] need, and far from where single precision ends.
Level = Annotated[FiniteFloat, Field(ge=-1e6, le=1e6)]
Triple = tuple[Level, Level, Level]
Positive = Annotated[FiniteFloat, Field(ge=1e-6, le=1e6)]
# Beyond this, one image takes hundreds of megabytes; a file may come from a stranger.
Side = Annotated[int, Field(ge=1, le=4096)]
PositiveTriple = tuple[Positive, Positive, Positive]

FORMATS = get_args(WeightFormat)
_DEEPEST = 32


class CardMetadata(BaseModel):
    """The part of a card that is written as text in its file's header."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: tuple[str, ...]
    input_size: tuple[Side, Side]
    mean: Triple = (0.0, 0.0, 0.0)
    # Files of schema 1 call it by its old name, so that every version of the library reads them.
    std: PositiveTriple = Field(
        default=(1.0, 1.0, 1.0),
        validation_alias=AliasChoices("std", "deviation"),
        serialization_alias="deviation",
    )
    prunable: tuple[str, ...] = ()
    architecture: dict[str, Any] | None = Field(
        default=None,
        description="name, settings and library's version of a network; None for one without a name",
    )
    domain: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None
    quantization: dict[str, Any] | None = Field(
        default=None,
        description="kind of weights, number of images it was calibrated on, norms measured anew",
    )
    accuracies: dict[str, FiniteFloat] = {}
    winninghand: str = Field(description="version of the library that made the card")

    @property
    def deviation(self) -> Triple:
        """Old name of `std`."""
        renamed("card.metadata.deviation", "card.metadata.std")
        return self.std

    @property
    def domain_name(self) -> str | None:
        """Name of the domain that it was trained in; None where that is not known."""
        name = (self.domain or {}).get("name")
        return None if name is None else str(name)

    @property
    def validation_fraction(self) -> float:
        """Fraction of the training images that the recipe kept for choosing; 0 where it is not known."""
        training = (self.recipe or {}).get("training", {})
        # Recipes of version 0.1 say `held_out`.
        return float(training.get("validation", training.get("held_out", 0)))

    @property
    def draws_weights(self) -> bool:
        """Whether the recipe's method never trains weights, so that they may be as they were drawn."""
        compression = (self.recipe or {}).get("compression")
        if not isinstance(compression, dict) or self.quantization is not None:
            return False
        return compression.get("method") in ("ep", "bp")

    @property
    def preparation(self) -> Preparation:
        """How the card's images were brought to its size and divided: what `wh.load_images` takes.

        Cards that do not know take whole images, whatever their proportions.
        """
        table = (self.recipe or {}).get("images")
        known = {"transform": "squash"} if table is None else _known(table)
        return Preparation.model_validate({**known, "size": self.input_size})

    def changed(self, **changes: object) -> CardMetadata:
        """Return the same metadata with other values of these fields; `InputError` for what cannot be."""
        try:
            return CardMetadata.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise InputError(f"card: {first_error(error)}") from None

    @field_validator("classes", mode="before")
    @classmethod
    def _readable(cls, classes: Any) -> tuple[str, ...]:  # noqa: ANN401 (checked here)
        return checked_classes(classes)

    @field_validator("accuracies", mode="before")
    @classmethod
    def _new_names(cls, accuracies: Any) -> Any:  # noqa: ANN401 (checked afterwards)
        """Cards of version 0.1 say `held_out` for the accuracy on validation images."""
        if isinstance(accuracies, dict) and "held_out" in accuracies:
            return {{"held_out": "validation"}.get(key, key): value for key, value in accuracies.items()}
        return accuracies

    @field_validator("domain", "recipe", "quantization", "architecture")
    @classmethod
    def _plain(cls, table: dict[str, Any] | None) -> dict[str, Any] | None:
        """Tables come from files; what is read of them later has one type."""
        if table is None:
            return None
        if _depth(table) > _DEEPEST:
            raise InputError(f"it is nested more than {_DEEPEST} deep")
        name = table.get("name", "")
        if not isinstance(name, str) or len(name) > 200:
            raise InputError(f"its name must be a text of at most 200 characters, not {shown(repr(name))}")
        training = table.get("training", {})
        if not isinstance(training, dict):
            raise InputError("its training must be a table")
        for key in ("validation", "held_out"):
            fraction = training.get(key, 0)
            if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 <= fraction < 1:
                raise InputError(f"its training.{key} must be a fraction in [0, 1), not {fraction!r}")
        return table

    @field_validator("recipe")
    @classmethod
    def _known_preparation(cls, table: dict[str, Any] | None) -> dict[str, Any] | None:
        images = (table or {}).get("images", {})
        if not isinstance(images, dict):
            raise InputError("its recipe's images must be a table")
        try:
            Preparation.model_validate(_known(images))
        except ValidationError as error:
            raise InputError(f"its recipe's images: {first_error(error)}") from None
        return table

    @field_validator("quantization")
    @classmethod
    def _known_format(cls, table: dict[str, Any] | None) -> dict[str, Any] | None:
        if table is not None and table.get("weights") not in FORMATS:
            raise InputError(f"its weights must be one of {', '.join(FORMATS)}, not {table.get('weights')!r}")
        return table

    @field_validator("prunable")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise InputError("a weight is named twice")
        return names

    @model_validator(mode="after")
    def _preparation_of_its_size(self) -> CardMetadata:
        try:
            _ = self.preparation
        except ValidationError as error:
            raise InputError(f"its recipe's images: {first_error(error)}") from None
        return self

    @model_validator(mode="after")
    def _one_name_per_output(self) -> CardMetadata:
        outputs = (self.architecture or {}).get("classes")
        if isinstance(outputs, int) and outputs != len(self.classes):
            raise InputError(f"a network of {outputs} outputs needs as many classes, not {len(self.classes)}")
        return self


def _known(images: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a recipe's `[images]` table that this version knows."""
    return {key: value for key, value in images.items() if key in Preparation.model_fields}


def _depth(value: object) -> int:
    """Return how deep tables and lists of JSON are nested; the walk ends where that is too deep."""
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        depth += 1
        inner = [one for one in level if isinstance(one, dict | list | tuple)]
        level = [child for one in inner for child in (one.values() if isinstance(one, dict) else one)]
    return depth


def architecture_metadata(module: nn.Module) -> dict[str, object] | None:
    """Return name and settings of a network as one table; None for a module that has no name.

    Beside those of a library or an import path stands the version that built them, as `version`.
    """
    architecture = architecture_of(module) or recognised(module)
    if architecture is None:
        return None
    version = {"version": architecture.version} if architecture.version else {}
    return {"name": architecture.name, **version, **architecture.settings}


def as_triple(values: Tensor) -> Triple:
    """Return three single-precision numbers as the shortest decimals that stand for them, such as 0.491."""
    red, green, blue = (float(str(np.float32(value))) for value in values.flatten().tolist())
    return red, green, blue

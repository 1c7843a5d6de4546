"""What a card knows of itself besides its weights."""

from __future__ import annotations

from typing import Annotated, Any

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

from winninghand.base.errors import InputError, first_error
from winninghand.networks import architecture_of

Triple = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Positive = Annotated[FiniteFloat, Field(gt=0)]
# Beyond this, one image takes hundreds of megabytes; a file may come from a stranger.
Side = Annotated[int, Field(ge=1, le=4096)]
PositiveTriple = tuple[Positive, Positive, Positive]


class CardMetadata(BaseModel):
    """The part of a card that is written as text in its file's header."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: tuple[str, ...] = Field(min_length=2)
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
        description="name and settings in the catalog of networks; None for a network outside it",
    )
    domain: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None
    quantization: dict[str, Any] | None = Field(
        default=None,
        description="kind of weights, number of images it was calibrated on, norms measured anew",
    )
    accuracies: dict[str, FiniteFloat] = {}
    winninghand: str = Field(description="version of the library that made the card")

    def changed(self, **changes: object) -> CardMetadata:
        """Return the same metadata with other values of these fields; `InputError` for what cannot be."""
        try:
            return CardMetadata.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise InputError(f"card: {first_error(error)}") from None

    @field_validator("accuracies", mode="before")
    @classmethod
    def _new_names(cls, accuracies: Any) -> Any:  # noqa: ANN401 (checked afterwards)
        """Cards of version 0.1 say `held_out` for the accuracy on validation images."""
        if isinstance(accuracies, dict) and "held_out" in accuracies:
            return {{"held_out": "validation"}.get(key, key): value for key, value in accuracies.items()}
        return accuracies

    @model_validator(mode="after")
    def _one_name_per_output(self) -> CardMetadata:
        outputs = (self.architecture or {}).get("classes")
        if isinstance(outputs, int) and outputs != len(self.classes):
            raise InputError(f"a network of {outputs} outputs needs as many classes, not {len(self.classes)}")
        return self


def architecture_metadata(module: nn.Module) -> dict[str, object] | None:
    """Return name and settings of a network of the catalog as one table, None for any other module."""
    architecture = architecture_of(module)
    return None if architecture is None else {"name": architecture.name, **architecture.settings}


def as_triple(values: Tensor) -> Triple:
    """Return three single-precision numbers as the shortest decimals that stand for them, such as 0.491."""
    red, green, blue = (float(str(np.float32(value))) for value in values.flatten().tolist())
    return red, green, blue

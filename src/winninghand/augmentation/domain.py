"""Training domains: views of a batch and the loss over them, made from a recipe's `domain`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor
from torch.nn import functional

from winninghand.base import catalog
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

    @abstractmethod
    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return augmented views of a batch, float32 (V, B, 3, H, W) in [0, 1], on its device.

        `images` is uint8 (B, H, W, 3), and `generator` lives on their device. Every view of an image
        depends on the generator's state and that image alone, not on its neighbours. The last view is
        the one that shows the domain.
        """

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

"""From a checkpoint file to cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, cast

from torch import nn

from winninghand.base.errors import InputError
from winninghand.cards.card import Card
from winninghand.cards.importing.baking import Subnetwork, baked
from winninghand.cards.importing.checkpoint import Weights, read_checkpoint
from winninghand.cards.importing.cifar import published_task
from winninghand.cards.importing.fitting import fitted
from winninghand.cards.importing.members import members_of, take_normalisation
from winninghand.cards.metadata import Triple
from winninghand.networks import architecture_of
from winninghand.networks.catalog import Setting

_AS_IT_IS: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Import:
    """What a checkpoint does not say of itself.

    `architecture` names a network of the catalog; width and classes are read off the weights,
    other `settings` are the catalog's defaults. `classes`, `mean` and `std` (per channel, for
    images in [0, 1]), where None, are the checkpoint's own, else those of RobustBench for its
    families, else numbers and no normalisation. `input_size` is the side of the images in pixels,
    for a network that takes any. `subnetwork` says how scores were meant.
    """

    architecture: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    classes: Sequence[str] | None = None
    mean: Triple | None = None
    std: Triple | None = None
    input_size: int | None = None
    subnetwork: Subnetwork | None = None


def import_cards(path: Path | str, wanted: Import) -> list[Card]:
    """Return the card of each network in a checkpoint: one, or as many as a deck has.

    The file is one of `torch.save`, read with `weights_only=True`, or safetensors. Raises
    `InputError` for any other file and for one whose weights do not fit the architecture.
    """
    checkpoint = read_checkpoint(path)
    try:
        return [_card(weights, checkpoint.values, wanted) for weights in members_of(checkpoint.weights)]
    except InputError as error:
        raise InputError(f"cannot import {path}: {error}") from error


def _card(weights: Weights, values: Mapping[str, Any], wanted: Import) -> Card:
    own = take_normalisation(weights)
    module = fitted(wanted.architecture, wanted.settings, baked(weights, values, wanted.subnetwork))
    settings = _settings_of(module)
    task = published_task(wanted.architecture, cast("int", settings["classes"]))
    known = (task.mean, task.std) if task else _AS_IT_IS
    mean, std = _checked(own or known, wanted)
    return Card.from_module(
        module,
        _classes(wanted.classes or (task.classes if task else None), cast("int", settings["classes"])),
        _input_size(settings, wanted.input_size),
        mean,
        std,
    )


def _settings_of(module: nn.Module) -> dict[str, Setting]:
    architecture = architecture_of(module)
    assert architecture is not None
    return architecture.settings


def _classes(names: Sequence[str] | None, count: int) -> Sequence[str]:
    if names is None:
        return [str(number) for number in range(count)]
    if len(names) != count:
        raise InputError(f"it tells {count} classes apart, but {len(names)} names were given")
    return names


def _input_size(settings: Mapping[str, Setting], side: int | None) -> tuple[int, int]:
    fixed = cast("int | None", settings.get("input_size"))
    if fixed is not None and side not in (None, fixed):
        raise InputError(f"its network takes images of {fixed}×{fixed} pixels; say --set input_size={side}")
    chosen = fixed or side or 32
    return chosen, chosen


def _checked(found: tuple[Triple, Triple], wanted: Import) -> tuple[Triple, Triple]:
    """Return mean and std, those that are wanted before those that were found."""
    mean = found[0] if wanted.mean is None else wanted.mean
    std = found[1] if wanted.std is None else wanted.std
    if not all(map(isfinite, mean + std)) or min(std) <= 0:
        raise InputError(f"cannot normalise by mean {mean} and std {std}; give others")
    return mean, std

"""From a checkpoint file to cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from winninghand.base.deprecation import renamed
from winninghand.base.errors import InputError
from winninghand.cards.card import Card
from winninghand.cards.importing.checkpoint import StateDict, read_checkpoint
from winninghand.cards.importing.layouts import in_our_names, settings_in
from winninghand.cards.importing.published import Task, published_task
from winninghand.cards.importing.state_dicts import (
    Subnetwork,
    apply_masks,
    split_state_dict,
    take_normalisation,
    with_masks,
)
from winninghand.cards.metadata import Triple
from winninghand.images.preparation import make_preparation
from winninghand.networks import (
    Preprocessing,
    architecture_of,
    empty_network,
    is_outside,
    network,
    preprocessing_of,
)
from winninghand.networks.catalog import Setting

_AS_IT_IS: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Import:
    """What a checkpoint does not say of itself.

    `architecture` names a network of the catalog; width, classes, depth and whatever else names and shapes of
    weights say are read off them, other `settings` are the catalog's defaults. `classes`, `mean` and `std`
    (per channel, for images in [0, 1]), where None, are the checkpoint's own, else those with which
    RobustBench, torchvision or OpenLTH use that network, else numbers and no normalisation. `input_size` is
    the side of the images in pixels, for a network that takes any. `mask` is a file of zeros and ones by the
    names of weights, as OpenLTH's `mask.pth` is: each network's weights are multiplied by them. `subnetwork`
    says how scores were meant. With `trust` the architecture may be an import path, whose code is run.
    `transform` is how pictures are brought to the size of the images, by the names of `wh.load_images`; where
    None, as for published figures: `resize256` for ImageNet's networks at 224 pixels, and torchvision's own
    way for its networks, where that is bilinear.
    `deviation` is the old name of `std`.
    """

    architecture: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    classes: Sequence[str] | None = None
    mean: Triple | None = None
    std: Triple | None = None
    input_size: int | None = None
    subnetwork: Subnetwork | None = None
    trust: bool = False
    mask: Path | str | None = None
    transform: str | None = None
    deviation: InitVar[Triple | None] = None

    def __post_init__(self, deviation: Triple | None) -> None:
        """Take the deviation that version 0.1 took."""
        if deviation is None:
            return
        if self.std is not None:
            raise InputError("deviation is the old name of std; give one of them")
        renamed("deviation", "std")
        object.__setattr__(self, "std", deviation)  # frozen for everybody but its own construction


def import_cards(path: Path | str, wanted: Import) -> list[Card]:
    """Return the card of each network in a checkpoint: one, or as many as a deck has.

    The file is one of `torch.save`, read with `weights_only=True`, or safetensors. Raises
    `InputError` for any other file and for one whose weights do not fit the architecture.
    """
    checkpoint = read_checkpoint(path)
    masks = {} if wanted.mask is None else _masks(wanted.mask)
    try:
        return [
            _card(weights, checkpoint.values, masks, wanted)
            for weights in split_state_dict(checkpoint.weights)
        ]
    except InputError as error:
        raise InputError(f"cannot import {path}: {error}") from error


def _card(weights: StateDict, values: Mapping[str, Any], masks: StateDict, wanted: Import) -> Card:
    own = take_normalisation(weights)
    kept = apply_masks(with_masks(weights, masks), values, wanted.subnetwork)
    module = _loaded(wanted, in_our_names(wanted.architecture, kept))
    settings, asked = _settings_of(module), preprocessing_of(module)
    task = published_task(wanted.architecture, settings)
    known = (task.mean, task.std) if task else (asked.mean, asked.std) if asked else _AS_IT_IS
    mean, std = _checked(own or known, wanted)
    side = wanted.input_size or (task.side if task else None if asked is None else asked.size[0])
    card = Card.from_module(
        module,
        _classes(wanted.classes or (task.classes if task else None), cast("int", settings["classes"])),
        _input_size({} if is_outside(wanted.architecture) else settings, side),
        mean,
        std,
    )
    transform = wanted.transform or _published_transform(task, asked, card.input_size)
    if transform is not None:
        make_preparation(card.input_size, transform)  # refuses what cannot be
        card.metadata = card.metadata.changed(recipe={"images": {"transform": transform}})
    return card


def _published_transform(task: Task | None, asked: Preprocessing | None, size: tuple[int, int]) -> str | None:
    """Return how pictures are brought to a size where figures of a network are published; None if unknown."""
    if task is None:
        return None if asked is None else asked.transform_at(size)
    return "crop" if task.transform and size != (task.side, task.side) else task.transform


def _masks(path: Path | str) -> StateDict:
    """Return masks by the names of the weights they are for, without what wrappers put before these."""
    networks = split_state_dict(read_checkpoint(path).weights)
    if len(networks) > 1:
        raise InputError(f"{path} holds masks of {len(networks)} networks; give those of one")
    return networks[0]


def _settings_of(module: nn.Module) -> dict[str, Setting]:
    architecture = architecture_of(module)
    assert architecture is not None
    if "classes" not in architecture.settings:
        raise InputError(f"the function {architecture.name!r} must take the number of classes, as `classes`")
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


def _loaded(wanted: Import, weights: StateDict) -> nn.Module:
    """Return the network that is wanted with these weights, as float32.

    What the weights' names and shapes say of settings counts where its own leave them out.
    Raises `InputError` that names the first parameter that is missing, too many or of another shape.
    """
    architecture = wanted.architecture
    settings = {**_inferred(wanted, weights), **settings_in(architecture, weights), **wanted.settings}
    module = empty_network(architecture, trust=wanted.trust, **settings)
    expected = module.state_dict()
    given = _with_counters(weights, expected)
    _check_names_and_shapes(expected, given, architecture)
    if is_outside(architecture):  # what its library computes for it, such as positions, is in no checkpoint
        with torch.random.fork_rng(devices=[]):
            module = network(architecture, trust=wanted.trust, **settings)
    module.load_state_dict(
        {name: given[name].to(tensor.dtype) for name, tensor in expected.items()}, assign=True
    )
    return module


def _inferred(wanted: Import, weights: StateDict) -> dict[str, Setting]:
    """Return width and classes: the output channels of the first weight and those of the last."""
    module = empty_network(wanted.architecture, trust=wanted.trust, **wanted.settings)
    names = [name for name, parameter in module.named_parameters() if parameter.ndim > 1]
    found = architecture_of(module)
    known = {} if found is None else found.settings
    ends = {"width": weights.get(names[0]), "classes": weights.get(names[-1])}
    return {
        key: tensor.shape[0]
        for key, tensor in ends.items()
        if key in known and tensor is not None and tensor.ndim > 1
    }


def _with_counters(weights: StateDict, expected: Mapping[str, Tensor]) -> StateDict:
    """Add the batch norms' counters, which older and converted files lack and inference does not use."""
    counters = {name: torch.zeros((), dtype=torch.int64) for name in expected if name.endswith(_COUNTER)}
    return counters | weights


def _check_names_and_shapes(expected: Mapping[str, Tensor], given: StateDict, architecture: str) -> None:
    for name, tensor in expected.items():
        shape = tuple(tensor.shape)
        if name not in given:
            raise InputError(f"it lacks {name!r} {shape}, which {architecture} has; check --architecture")
        if tensor.is_floating_point() and not given[name].is_floating_point():
            raise InputError(
                f"{name!r} is {given[name].dtype} in it; save the network with float weights, before it is "
                "quantized"
            )
        if tuple(given[name].shape) != shape:
            raise InputError(
                f"{name!r} is {tuple(given[name].shape)} in it and {shape} in {architecture}; check "
                "--architecture and --set"
            )
    for name in given:
        if name not in expected:
            raise InputError(f"it holds {name!r}, which {architecture} does not have; check --architecture")

"""A network of the catalog that fits a state dict, and holds its weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.cards.importing.checkpoint import Weights
from winninghand.networks import architecture_of, network
from winninghand.networks.catalog import Setting

_COUNTER = "num_batches_tracked"


def fitted(architecture: str, settings: Mapping[str, Setting], weights: Weights) -> nn.Module:
    """Return the network `architecture` with these weights, as float32.

    Width and number of classes come from the weights' shapes where `settings` leaves them out.
    Raises `InputError` that names the first parameter that is missing, too many or of another shape.
    """
    inferred = _inferred(architecture, settings, weights)
    module = _skeleton(architecture, {**inferred, **settings})
    expected = module.state_dict()
    given = _with_counters(weights, expected)
    _check(expected, given, architecture)
    module.load_state_dict(
        {name: given[name].to(tensor.dtype) for name, tensor in expected.items()}, assign=True
    )
    return module


def _inferred(architecture: str, settings: Mapping[str, Setting], weights: Weights) -> dict[str, Setting]:
    """Return width and classes: the output channels of the first weight and those of the last."""
    module = _skeleton(architecture, settings)
    names = [name for name, parameter in module.named_parameters() if parameter.ndim > 1]
    found = architecture_of(module)
    known = {} if found is None else found.settings
    ends = {"width": weights.get(names[0]), "classes": weights.get(names[-1])}
    return {
        key: tensor.shape[0]
        for key, tensor in ends.items()
        if key in known and tensor is not None and tensor.ndim > 1
    }


def _skeleton(architecture: str, settings: Mapping[str, Setting]) -> nn.Module:
    """Return the network without memory for its values."""
    with torch.device("meta"):
        return network(architecture, **settings)


def _with_counters(weights: Weights, expected: Mapping[str, Tensor]) -> Weights:
    """Add the batch norms' counters, which older and converted files lack and inference does not use."""
    counters = {name: torch.zeros((), dtype=torch.int64) for name in expected if name.endswith(_COUNTER)}
    return counters | weights


def _check(expected: Mapping[str, Tensor], given: Weights, architecture: str) -> None:
    for name, tensor in expected.items():
        shape = tuple(tensor.shape)
        if name not in given:
            raise InputError(f"it lacks {name!r} {shape}, which {architecture} has; check --architecture")
        if tuple(given[name].shape) != shape:
            raise InputError(
                f"{name!r} is {tuple(given[name].shape)} in it and {shape} in {architecture}; check "
                "--architecture and --set"
            )
    for name in given:
        if name not in expected:
            raise InputError(f"it holds {name!r}, which {architecture} does not have; check --architecture")

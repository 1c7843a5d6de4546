"""Whether tensors from elsewhere, of a state or of a copy of a module, are those that are expected."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.networks.entering import check_tensor


def checked_mapping(what: str, value: object) -> Mapping[str, object]:
    """Return `value`, or raise `InputError` unless it is a mapping."""
    if not isinstance(value, Mapping):
        raise InputError(f"{what} must be a dict as state_dict() returns it, not {type(value).__name__}")
    return value


def check_alike(what: str, found: Mapping[str, object], wanted: Mapping[str, Tensor]) -> None:
    """Raise `InputError` unless `found` has a tensor like each that is wanted: shape, and kind of numbers.

    `what` names what was found. Floats of another width are alike.
    """
    for name, like in wanted.items():
        tensor = found.get(name)
        if not isinstance(tensor, Tensor):
            raise InputError(f"{what} has no tensor {name!r} of shape {tuple(like.shape)}")
        check_tensor(name, tensor)
        if tensor.shape != like.shape:
            raise InputError(f"{name!r} of {what} has shape {tuple(tensor.shape)}, not {tuple(like.shape)}")
        both_floats = tensor.is_floating_point() and like.is_floating_point()
        if tensor.dtype != like.dtype and not both_floats:
            raise InputError(f"{name!r} of {what} is {tensor.dtype}, not {like.dtype}")


def check_no_others(what: str, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Raise `InputError` where `found`, which `what` names, has a key that is not wanted."""
    other = next((name for name in found if name not in wanted), None)
    if other is not None:
        raise InputError(f"{what} has {other!r}, of which this pruner knows nothing")

"""Weights seen through a mask and trained by scores: the gradient, and how layers get and lose both."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from winninghand.compression import kernels
from winninghand.compression.kernels import compilable, in_memory

_SCORES = re.compile(r"(^|\.)parametrizations\.(\w+)\.0\.scores$")
_CLASSES: dict[tuple[type[nn.Module], tuple[str, ...]], type[nn.Module]] = {}


class _StraightThrough(torch.autograd.Function):
    """Weights where they are kept, 0 elsewhere; the scores get the gradient as if all were kept.

    With a `magnitude` the weights are their signs times it (biprop), without they are themselves.
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        scores: Tensor,
        weights: Tensor,
        kept: Tensor,
        magnitude: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(scores, weights, magnitude)  # type: ignore[arg-type]
        return masked(weights, kept, magnitude)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor, None, None, None]:
        scores, weights, magnitude = ctx.saved_tensors  # type: ignore[attr-defined]
        if torch.compiler.is_compiling() or not compilable(scores, weights, gradient):
            # d|score| / d score is the score's sign.
            product = gradient * _transformed(weights, magnitude)
            return torch.where(scores < 0, -product, product), None, None, None
        out = torch.empty_like(scores)
        flat_gradient, flat_weights, flat_scores = map(in_memory, (gradient, weights, scores))
        binary, value = _flags(magnitude)
        kernels.score_gradient(flat_gradient, flat_weights, flat_scores, binary, value, in_memory(out))
        return out, None, None, None


def masked(weights: Tensor, kept: Tensor, magnitude: Tensor | None) -> Tensor:
    """Return the transformed weights where `kept`, 0 elsewhere."""
    # A compiled network makes kernels of its own, and cannot look into Numba's.
    if torch.compiler.is_compiling() or not compilable(weights, kept):
        return torch.where(kept, _transformed(weights, magnitude), 0.0)
    out = torch.empty_like(weights)
    binary, value = _flags(magnitude)
    kernels.masked(in_memory(weights), in_memory(kept), binary, value, in_memory(out))
    return out


def _transformed(weights: Tensor, magnitude: Tensor | None) -> Tensor:
    return weights if magnitude is None else torch.copysign(magnitude, weights)


def _flags(magnitude: Tensor | None) -> tuple[bool, np.float32]:
    return magnitude is not None, np.float32(0 if magnitude is None else magnitude.item())


class _HoldsTensors(nn.Module):
    """A module whose tensors are part of its state and follow it to a device, but are not buffers.

    DistributedDataParallel would send buffers about at every step, and an `AveragedModel` count on as
    many after the parametrization has gone.
    """

    held: tuple[str, ...] = ()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        for name in self.held:
            setattr(self, name, fn(getattr(self, name)))
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in self.held:
            destination[prefix + name] = getattr(self, name)

    @torch.no_grad()
    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        for name in self.held:
            value, target = state_dict.pop(prefix + name, None), getattr(self, name)
            if value is None:
                missing_keys.append(prefix + name)
            elif value.shape != target.shape:
                error_msgs.append(f"{prefix}{name} is {tuple(value.shape)}, not {tuple(target.shape)}")
            else:
                target.copy_(value)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class EdgePopupMask(_HoldsTensors):
    """The parametrization of one weight: its scores, its mask and, for binary weights, their magnitude.

    `scale` is one number for all weights of a network, which changes in place as a ramp goes on.
    """

    def __init__(self, scores: nn.Parameter, binary: bool, scale: Tensor) -> None:
        super().__init__()
        self.scores = scores
        self.kept = torch.ones_like(scores, dtype=torch.bool)
        self.magnitude = scores.new_ones(()) if binary else None
        self.held = ("kept", "magnitude") if binary else ("kept",)
        # On the CPU, where its value is known without waiting for the device.
        self.scale = scale

    def forward(self, weights: Tensor) -> Tensor:
        """Return the weights as the network sees them."""
        seen: Tensor = _StraightThrough.apply(  # type: ignore[no-untyped-call]
            self.scores, weights, self.kept, self.magnitude
        )
        if torch.compiler.is_compiling():
            # A tensor, since a number would be compiled in, and the network again with every step of a ramp.
            return seen * self.scale.to(seen.dtype)
        scale = self.scale.item()
        return seen if scale == 1 else seen * scale

    @torch.no_grad()
    def keep(self, kept: Tensor, weights: Tensor) -> None:
        """Take a new mask; the magnitude of binary weights is the mean of those that are kept.

        α = Σ|W⊙M| / ΣM; 0 for an empty layer.
        """
        self.kept.copy_(kept)
        if self.magnitude is not None:
            if compilable(weights, self.kept):
                mean = kernels.mean_magnitude(in_memory(weights), in_memory(self.kept))
                self.magnitude.fill_(mean)
            else:
                self.magnitude.copy_((weights.abs() * kept).sum() / kept.sum().clamp(min=1))


class EdgePopupWeight(_HoldsTensors, ParametrizationList):
    """What `torch.nn.utils.parametrize` keeps for a weight: the mask, and the frozen `original`."""

    held = ("original",)

    def __init__(self, mask: EdgePopupMask, original: Tensor) -> None:
        super().__init__([mask], original, unsafe=True)
        del self._buffers["original"]
        self.original = original

    @property
    def mask(self) -> EdgePopupMask:
        """The parametrization itself."""
        return cast(EdgePopupMask, self[0])


def cover(network: nn.Module, covers: Mapping[int, EdgePopupWeight]) -> None:
    """Have every module that owns one of the parameters (by id) see it through its parametrization."""
    for module, attributes in list(_owners(network, covers)):
        inner = getattr(module, "parametrizations", None) or nn.ModuleDict()
        for attribute in attributes:
            inner[attribute] = covers[id(module._parameters.pop(attribute))]
        # First of the parts, so that scores stand where the weights will stand again in `parameters()`.
        module._modules = {"parametrizations": inner, **module._modules}
        module.__class__ = _covered(type(module), attributes)


def uncover(network: nn.Module) -> None:
    """Give every layer its own class again, and its parameters, which hold scores, their own names."""
    for module in list(network.modules()):
        attributes: tuple[str, ...] = getattr(type(module), "_covered_attributes", ())
        if not attributes:
            continue
        module.__class__ = type(module).__bases__[0]
        inner = cast(nn.ModuleDict, module.parametrizations)
        for attribute in attributes:
            weight = cast(EdgePopupWeight, inner.pop(attribute))
            module.register_parameter(attribute, weight.mask.scores)
        if not inner:
            del module.parametrizations


def parameters_by_own_name(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of a network by the names that they have once `uncover` was called."""
    named = network.named_parameters(remove_duplicate=False)
    return {_SCORES.sub(r"\1\2", name): parameter for name, parameter in named}


def _owners(
    network: nn.Module, parameters: Mapping[int, object]
) -> Iterator[tuple[nn.Module, tuple[str, ...]]]:
    """Yield every module that owns one of the parameters (by id), and under what names."""
    for module in network.modules():
        names = tuple(name for name, value in module._parameters.items() if id(value) in parameters)
        if names:
            yield module, names


def _covered(kind: type[nn.Module], attributes: tuple[str, ...]) -> type[nn.Module]:
    """Return the class of layers of a kind whose attributes are parametrized: one class for all of them.

    `torch.nn.utils.parametrize` makes a class for every layer, and `torch.compile` compiles each anew.
    """
    if (kind, attributes) not in _CLASSES:
        seen = {name: property(partial(_seen, name)) for name in attributes}
        _CLASSES[kind, attributes] = type(
            f"EdgePopup{kind.__name__}", (kind,), {**seen, "_covered_attributes": attributes}
        )
    return _CLASSES[kind, attributes]


def _seen(attribute: str, module: nn.Module) -> Tensor:
    return cast(Tensor, cast(nn.ModuleDict, module.parametrizations)[attribute]())

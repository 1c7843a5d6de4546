"""Pruning without training weights: a score per weight is trained instead.

Edge-popup (Ramanujan et al. 2020, arXiv:1911.13299) and biprop (Diffenderfer & Kailkhura 2021,
arXiv:2103.09377) keep the weights of the largest |score|; the gradient passes straight through the
mask, and the weights never move.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from winninghand.compression import kernels
from winninghand.compression.budget import Budget
from winninghand.compression.kernels import compilable, in_memory
from winninghand.compression.masks import Masks
from winninghand.compression.schedules import Phase

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


class EdgePopupMask(nn.Module):
    """The parametrization of one weight: its scores, its mask and, for binary weights, their magnitude.

    `scale` is one number for all weights of a network, which changes in place as a ramp goes on.
    """

    def __init__(self, scores: nn.Parameter, binary: bool, scale: Tensor) -> None:
        super().__init__()
        self.scores = scores
        self.kept: Tensor
        self.register_buffer("kept", torch.ones_like(scores, dtype=torch.bool))
        self.magnitude: Tensor | None
        self.register_buffer("magnitude", scores.new_ones(()) if binary else None)
        # Not a buffer: on the CPU its value is known without waiting for the device.
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


class EdgePopupMasks(Masks):
    """Masks by trained scores, renewed after every step and exact at every step.

    While it trains, each prunable weight is a parametrization (`torch.nn.utils.parametrize`) of a
    frozen tensor. Its scores take the place of the weight in the module's own parameter, which
    an optimizer or DistributedDataParallel may hold already. `finish` puts the masked weights
    into these parameters. Weights that are zero at the start stay pruned. The parameters in
    `resting` do not move.

    Weights that were `drawn` have the std that suits the final density d. While a phase keeps
    more, of density c, the network sees them times √(d / c): without that, a network that no norm
    holds in check starts with activations that grow from layer to layer, and dies in the first steps.
    """

    def __init__(
        self,
        network: nn.Module,
        weights: Mapping[str, nn.Parameter],
        scores: Mapping[str, Tensor],
        budget: Budget,
        binary: bool,
        resting: Collection[nn.Parameter],
        drawn: bool = True,
    ) -> None:
        super().__init__(weights, budget)
        self._network = network
        self._drawn = drawn
        self._finished = False
        self._has_zeros = any(bool((weight == 0).any()) for weight in weights.values())
        self._scale = torch.ones((), dtype=torch.float64)
        frozen = {name: weight.detach().clone() for name, weight in self.weights.items()}
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(scores[name])
        self._covers = {
            name: ParametrizationList([EdgePopupMask(weight, binary, self._scale)], frozen[name], unsafe=True)
            for name, weight in self.weights.items()
        }
        _cover(network, {id(weight): self._covers[name] for name, weight in self.weights.items()})
        self._resting = tuple(resting)
        self._at_rest: tuple[Tensor, ...] = ()
        if _is_distributed():
            # Where the module was wrapped before, every gradient is waited for: these are set back instead.
            self._at_rest = tuple(parameter.detach().clone() for parameter in self._resting)
        else:
            for parameter in self._resting:
                parameter.requires_grad_(False)

    def begin(self, phase: Phase, steps: int, step: int = 0, resumed: bool = False) -> None:
        """Begin a phase, or go on with it; masks are part of the network's state, their scale is not."""
        super().begin(phase, steps, step, resumed)
        self._rescale(phase.sparsity_at(step / steps))

    def after_step(self) -> None:
        """Renew the masks from the scores, at the sparsity that the phase has reached."""
        self.step += 1
        self.apply()

    def apply(self) -> None:
        """Choose the masks by the present scores; after `finish`, set the weights back to what they were."""
        self._rest()
        if self._finished:
            self._bake(self.weights)
        else:
            self.prune_to(self.phase.sparsity_at(min(self.step / self.steps, 1.0)))

    @torch.no_grad()
    def prune_to(self, sparsity: float) -> None:
        """Keep the weights of the largest |score|."""
        if self._finished:
            return
        frozen = {name: self._frozen(name) for name in self.weights}
        allowed = {name: weight != 0 for name, weight in frozen.items()} if self._has_zeros else None
        for name, kept in self.budget.choose(self.weights, sparsity, allowed).items():
            self._mask(name).keep(kept, frozen[name])
        self._rescale(sparsity)

    def apply_to(self, other: nn.Module) -> None:
        """Put the masked weights into a copy of the network, as ordinary weights under its own names."""
        _uncover(other)
        self._bake({name: other.get_parameter(name) for name in self.weights})

    def as_dict(self) -> dict[str, Tensor]:
        """Return for each prunable weight a bool mask of its shape, true where it is kept."""
        return {name: self._mask(name).kept.clone() for name in self.weights}

    def finish(self) -> None:
        """Put the weights as the network sees them where the weights were, all parameters trainable."""
        if not self._finished:
            self._finished = True
            _uncover(self._network)
            self._bake(self.weights)
            for parameter in self._resting:
                parameter.requires_grad_(True)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what is at rest and set back, if anything: the rest is part of the network's state."""
        return {str(number): tensor for number, tensor in enumerate(self._at_rest)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take what `state_dict` returned."""
        for number, tensor in enumerate(self._at_rest):
            if str(number) in state:
                tensor.copy_(state[str(number)])

    def _mask(self, name: str) -> EdgePopupMask:
        return cast(EdgePopupMask, self._covers[name][0])

    def _frozen(self, name: str) -> Tensor:
        return self._covers[name].original

    @torch.no_grad()
    def _bake(self, weights: Mapping[str, nn.Parameter]) -> None:
        for name, weight in weights.items():
            mask = self._mask(name)
            weight.copy_(masked(self._frozen(name), mask.kept, mask.magnitude))

    @torch.no_grad()
    def _rest(self) -> None:
        for parameter, value in zip(self._resting, self._at_rest, strict=False):
            parameter.copy_(value)

    def _rescale(self, sparsity: float) -> None:
        final = max(self.phase.sparsity, sparsity) if self._drawn else sparsity
        self._scale.fill_(math.sqrt((1 - final) / (1 - sparsity)))


def _cover(network: nn.Module, covers: Mapping[int, ParametrizationList]) -> None:
    """Have every module that owns one of the parameters (by id) see it through its parametrization."""
    for module, attributes in list(_owners(network, covers)):
        inner = getattr(module, "parametrizations", None) or nn.ModuleDict()
        for attribute in attributes:
            inner[attribute] = covers[id(module._parameters.pop(attribute))]
        # First of the parts, so that scores stand where the weights will stand again in `parameters()`.
        module._modules = {"parametrizations": inner, **module._modules}
        module.__class__ = _covered(type(module), attributes)


def _uncover(network: nn.Module) -> None:
    """Give every layer its own class again, and its parameters, which hold scores, their own names."""
    for module in list(network.modules()):
        attributes: tuple[str, ...] = getattr(type(module), "_covered_attributes", ())
        if not attributes:
            continue
        module.__class__ = type(module).__bases__[0]
        inner = cast(nn.ModuleDict, module.parametrizations)
        for attribute in attributes:
            cover = cast(ParametrizationList, inner.pop(attribute))
            module.register_parameter(attribute, cast(EdgePopupMask, cover[0]).scores)
        if not inner:
            del module.parametrizations


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


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()

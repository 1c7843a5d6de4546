"""Pruning without training weights: a score per weight is trained instead.

Edge-popup (Ramanujan et al. 2020, arXiv:1911.13299) and biprop (Diffenderfer & Kailkhura 2021,
arXiv:2103.09377) keep the weights of the largest |score|; the gradient passes straight through the
mask, and the weights never move.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from winninghand.compression import kernels
from winninghand.compression.budget import Budget
from winninghand.compression.layout import compilable, in_memory
from winninghand.compression.masks import Masks
from winninghand.compression.phase import Phase


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
        ctx.save_for_backward(scores, weights)
        ctx.magnitude = magnitude  # type: ignore[attr-defined]
        return masked(weights, kept, magnitude)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor, None, None, None]:
        scores, weights = ctx.saved_tensors  # type: ignore[attr-defined]
        magnitude: Tensor | None = ctx.magnitude  # type: ignore[attr-defined]
        if not compilable(scores, weights, gradient):
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
    if not compilable(weights, kept):
        return torch.where(kept, _transformed(weights, magnitude), 0.0)
    out = torch.empty_like(weights)
    binary, value = _flags(magnitude)
    kernels.masked(in_memory(weights), in_memory(kept), binary, value, in_memory(out))
    return out


def _transformed(weights: Tensor, magnitude: Tensor | None) -> Tensor:
    return weights if magnitude is None else torch.copysign(magnitude, weights)


def _flags(magnitude: Tensor | None) -> tuple[bool, np.float32]:
    return magnitude is not None, np.float32(0 if magnitude is None else magnitude.item())


class Popup(nn.Module):
    """The parametrization of one weight: its scores, its mask and, for binary weights, their magnitude."""

    def __init__(self, scores: Tensor, binary: bool) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)
        self.kept: Tensor
        self.register_buffer("kept", torch.ones_like(scores, dtype=torch.bool))
        self.magnitude: Tensor | None
        self.register_buffer("magnitude", scores.new_ones(()) if binary else None)
        self.scale = 1.0

    # The scale changes with every step of a ramp, and the kernels are compiled already.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, weights: Tensor) -> Tensor:
        """Return the weights as the network sees them."""
        seen: Tensor = _StraightThrough.apply(  # type: ignore[no-untyped-call]
            self.scores, weights, self.kept, self.magnitude
        )
        return seen if self.scale == 1 else seen * self.scale

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


class PopupMasks(Masks):
    """Masks by trained scores, renewed after every step and exact at every step.

    While it trains, each prunable weight is a parametrization (`torch.nn.utils.parametrize`) of
    frozen weights, and its scores are among the network's parameters: make the optimizer
    afterwards. `finish` bakes the masks into ordinary weights. The parameters in `resting` are frozen
    until then. Weights that are zero at the start stay pruned.

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
        self._has_zeros = any(bool((weight == 0).any()) for weight in weights.values())
        self.popups = {name: Popup(scores[name], binary) for name in self.weights}
        self._places = {name: tuple(_places(network, weight)) for name, weight in self.weights.items()}
        self._drawn = drawn
        self._resting = [*self.weights.values(), *resting]
        for parameter in self._resting:
            parameter.requires_grad_(False)
        for name, places in self._places.items():
            for owner, attribute in places:
                parametrize.register_parametrization(owner, attribute, self.popups[name], unsafe=True)

    def begin(self, phase: Phase, steps: int, step: int = 0, resumed: bool = False) -> None:
        """Begin a phase, or go on with it; masks are part of the network's state, their scale is not."""
        super().begin(phase, steps, step, resumed)
        self._rescale(phase.sparsity_at(step / steps))

    def after_step(self) -> None:
        """Renew the masks from the scores, at the sparsity that the phase has reached."""
        self.step += 1
        self.apply()

    def apply(self) -> None:
        """Choose the masks by the present scores."""
        self.prune_to(self.phase.sparsity_at(min(self.step / self.steps, 1.0)))

    @torch.no_grad()
    def prune_to(self, sparsity: float) -> None:
        """Keep the weights of the largest |score|."""
        if not self._places:
            return
        scores = {name: popup.scores for name, popup in self.popups.items()}
        allowed = {name: weight != 0 for name, weight in self.weights.items()} if self._has_zeros else None
        for name, kept in self.budget.choose(scores, sparsity, allowed).items():
            self.popups[name].keep(kept, self.weights[name])
        self._rescale(sparsity)

    def _rescale(self, sparsity: float) -> None:
        final = max(self.phase.sparsity, sparsity) if self._drawn else sparsity
        for popup in self.popups.values():
            popup.scale = math.sqrt((1 - final) / (1 - sparsity))

    @torch.no_grad()
    def finish(self) -> None:
        """Put the weights as the network sees them where the weights were, trainable again."""
        for name, places in self._places.items():
            seen = masked(self.weights[name], self.popups[name].kept, self.popups[name].magnitude)
            for owner, attribute in places:
                parametrize.remove_parametrizations(owner, attribute, leave_parametrized=False)
            self.weights[name].copy_(seen)
        self._places = {}
        for parameter in self._resting:
            parameter.requires_grad_(True)

    def kept(self) -> dict[str, int]:
        """Return how many weights of each layer are kept."""
        return {name: int(popup.kept.sum()) for name, popup in self.popups.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return nothing: scores and masks are part of the network's state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take nothing."""


def _places(network: nn.Module, weight: nn.Parameter) -> Iterator[tuple[nn.Module, str]]:
    """Yield every module that owns a weight, and under what name."""
    for module in network.modules():
        for attribute, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            if parameter is weight:
                yield module, attribute

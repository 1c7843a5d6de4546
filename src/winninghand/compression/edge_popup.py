"""Pruning without training weights: a score per weight is trained instead.

Edge-popup (Ramanujan et al. 2020, arXiv:1911.13299) and biprop (Diffenderfer & Kailkhura 2021,
arXiv:2103.09377) keep the weights of the largest |score|; the gradient passes straight through the
mask, and the weights never move.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.compression.budget import Budget
from winninghand.compression.masks import Masks
from winninghand.compression.parametrization import EdgePopupMask, EdgePopupWeight, cover, masked, uncover
from winninghand.compression.schedules import Phase
from winninghand.compression.states import check_alike, check_no_others


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
        self._final: dict[str, Tensor] = {}
        self._has_zeros = any(bool((weight == 0).any()) for weight in weights.values())
        self._scale = torch.ones((), dtype=torch.float64)
        frozen = {name: weight.detach().clone() for name, weight in self.weights.items()}
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(scores[name])
        self._covers = {
            name: EdgePopupWeight(EdgePopupMask(weight, binary, self._scale), frozen[name])
            for name, weight in self.weights.items()
        }
        cover(network, {id(weight): self._covers[name] for name, weight in self.weights.items()})
        self._resting = tuple(resting)
        self._at_rest: tuple[Tensor, ...] = ()
        if _is_distributed():
            # Where the module was wrapped before, every gradient is waited for: these are set back instead.
            self._at_rest = tuple(parameter.detach().clone() for parameter in self._resting)
        else:
            self.freeze()

    def freeze(self) -> None:
        """Have no optimizer move the parameters that rest, in a module that is not wrapped yet."""
        self._at_rest = ()
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
        if self._final:
            _copy(self._final, self.weights)
        else:
            self.prune_to(self.phase.sparsity_at(min(self.step / self.steps, 1.0)))

    @torch.no_grad()
    def prune_to(self, sparsity: float) -> None:
        """Keep the weights of the largest |score|."""
        if self._final:
            return
        frozen = {name: self._frozen(name) for name in self.weights}
        allowed = None
        if self._has_zeros:
            allowed = {name: ~self.budget.pruned(weight) for name, weight in frozen.items()}
        for name, kept in self.budget.choose(self.weights, sparsity, allowed).items():
            self._mask(name).keep(kept, frozen[name])
        self._rescale(sparsity)

    def apply_to(self, other: nn.Module) -> None:
        """Put the masked weights into a copy of the network, as ordinary weights under its own names."""
        weights = self.weights_of(other)
        if not self._final and any(weights[name] is weight for name, weight in self.weights.items()):
            raise InputError("apply_to takes a copy of the module; for the module itself call finish()")
        uncover(other)
        _copy(self._masked(), weights)

    def as_dict(self) -> dict[str, Tensor]:
        """Return for each prunable weight a bool mask of its shape, true where it is kept."""
        if self._final:
            return {name: weight != 0 for name, weight in self._final.items()}
        return {name: self._mask(name).kept.clone() for name in self.weights}

    def finish(self) -> None:
        """Put the weights as the network sees them where the weights were, all parameters trainable."""
        if not self._final:
            self._end_with(self._masked())

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the network's own state, which holds scores and masks, leaves out."""
        zeros = {"has_zeros": torch.tensor(True)} if self._has_zeros else {}
        rest = {f"rest.{number}": tensor for number, tensor in enumerate(self._at_rest)}
        return {**zeros, **rest, **{f"final.{name}": weight for name, weight in self._final.items()}}

    def check_state(self, state: Mapping[str, object], sparsity: float, finished: bool) -> None:
        """Raise `InputError` unless this fits the weights; the final ones are there once it is finished."""
        what = "the masks of the pruner's state"
        rest = {f"rest.{number}": tensor for number, tensor in enumerate(self._at_rest)}
        optional = {"has_zeros": torch.tensor(True), **rest}
        final: dict[str, Tensor] = {}
        if finished:
            final = {f"final.{name}": weight for name, weight in self.weights.items()}
        # How many rest depends on whether the training is distributed, which may have changed.
        check_no_others(
            what, {name: 0 for name in state if not str(name).startswith("rest.")}, optional | final
        )
        check_alike(what, state, final | {name: like for name, like in optional.items() if name in state})

    def unsynchronised(self) -> dict[str, Tensor]:
        """Return masks, the frozen weights, and the values of the parameters that do not move."""
        frozen = {f"frozen.{name}": self._frozen(name) for name in self.weights} if not self._final else {}
        rest = {f"rest.{number}": tensor for number, tensor in enumerate(self._at_rest)}
        return {**self.as_dict(), **frozen, **rest}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take what `state_dict` returned."""
        self._has_zeros = self._has_zeros or "has_zeros" in state
        for number, tensor in enumerate(self._at_rest):
            tensor.copy_(state.get(f"rest.{number}", tensor))
        final = {name: state[f"final.{name}"] for name in self.weights if f"final.{name}" in state}
        if final:
            self._end_with(final)

    def _mask(self, name: str) -> EdgePopupMask:
        return self._covers[name].mask

    def _frozen(self, name: str) -> Tensor:
        return self._covers[name].original

    def _masked(self) -> dict[str, Tensor]:
        """Return the weights as a finished network has them."""
        if self._final:
            return self._final
        masks = {name: self._mask(name) for name in self.weights}
        return {name: masked(self._frozen(name), mask.kept, mask.magnitude) for name, mask in masks.items()}

    def _end_with(self, weights: dict[str, Tensor]) -> None:
        uncover(self._network)
        self._final = weights
        _copy(weights, self.weights)
        for parameter in self._resting:
            parameter.requires_grad_(True)

    @torch.no_grad()
    def _rest(self) -> None:
        # Nothing is at rest in this way where the parameters are frozen.
        for parameter, value in zip(self._resting, self._at_rest, strict=False):
            parameter.copy_(value)

    def _rescale(self, sparsity: float) -> None:
        final = max(self.phase.sparsity, sparsity) if self._drawn else sparsity
        self._scale.fill_(math.sqrt((1 - final) / (1 - sparsity)))


@torch.no_grad()
def _copy(values: Mapping[str, Tensor], weights: Mapping[str, nn.Parameter]) -> None:
    for name, weight in weights.items():
        weight.copy_(values[name])


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()

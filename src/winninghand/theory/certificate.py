"""What is proved of a ticket: a bound of its error over the whole box of images, and answers image by image.

Nothing of how the mask was found is trusted. The weights that a ticket's layer amounts to are added up
anew from its random weights and masks, and compared with the target's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.engine.program import Activation, Convolution
from winninghand.theory.layers import UNIT, Layer, Target
from winninghand.theory.network import MaskedLayer, MaskedNetwork
from winninghand.theory.propagation import Bounds, Discrepancy, box, discrepancy, norms_of, propagated

# Weights of the random network that are looked at together.
_AT_ONCE = 2**22


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer: the weights of its random network, and how near the target's were met."""

    name: str
    samples: int
    hidden: int
    weights: int
    """Random weights and biases of both layers."""
    kept: int
    targets: int
    """Weights of the target's layer that are not zero, those of the constant among them."""
    largest_error: float
    mean_error: float


@dataclass(frozen=True, eq=False)
class Proof:
    """What is proved of some images, one number each.

    `answers`, int64 (N,), are the target's classes, `margins`, float64 (N,), the least by which its logit of
    that class is above another one. `proved`, bool (N,), says that the margin is more than twice the bound
    over the whole box. For the other images a bound at the image itself is found; `proved_here` says that the
    margin is more than twice that one, or that the image is proved already. In either case the ticket gives
    the same answer. `bounds`, float64 (N,), are those that were used.
    """

    answers: Tensor
    margins: Tensor
    bounds: Tensor
    proved: Tensor
    proved_here: Tensor


class Certificate:
    """Proof of how far a ticket's network is from its target.

    `bound` is the most by which a logit differs, at any image in [0, 1], in exact arithmetic; `bounds`,
    float64 (classes,), for each logit.
    """

    def __init__(
        self, target: Target, network: MaskedNetwork, norms: Mapping[int, float] | None = None
    ) -> None:
        self._target = target
        self._norms = norms_of(target) if norms is None else norms
        self.layers: tuple[LayerReport, ...] = ()
        self._away: dict[int, Discrepancy] = {}
        for layer in target.layers:
            self._away[layer.output], report = _compared(layer, network)
            self.layers += (report,)
        shape = target.program.input_shape
        everywhere = self._propagated(box(torch.zeros(1, *shape), torch.ones(1, *shape)))
        self.bounds = everywhere.error.flatten()
        self.bound = float(self.bounds.max())

    def prove(self, images: Tensor, batch_size: int = 64) -> Proof:
        """Return what is proved of images (N, C, H, W) in [0, 1]: that ticket and target answer alike.

        Margins are those of exact arithmetic: what rounding may have added to them is taken off. Raises
        `InputError` for images of another shape or range.
        """
        shape = self._target.program.input_shape
        if math.prod(images.shape[1:]) == math.prod(shape):
            images = images.reshape(len(images), *shape)
        if images.shape[1:] != shape or not bool(((images >= 0) & (images <= 1)).all()):
            raise InputError(f"images must be (N, {', '.join(map(str, shape))}) in [0, 1]")
        parts = [self._proved(part.double()) for part in images.split(batch_size)]
        answers, margins, bounds = (torch.cat(one) for one in zip(*parts, strict=True))
        return Proof(answers, margins, bounds, margins > 2 * self.bound, margins > 2 * bounds)

    def _proved(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = propagated(self._target, {}, box(images, images), self._norms)
        low, high = logits.low.flatten(1), logits.high.flatten(1)
        answers = low.argmax(1)
        others = high.scatter(1, answers[:, None], -torch.inf).amax(1)
        margins = low.gather(1, answers[:, None]).flatten() - others
        margins = margins - 4 * UNIT * margins.abs()
        bounds = torch.full_like(margins, self.bound)
        rest = (margins <= 2 * self.bound).nonzero().flatten()
        if len(rest):
            at_image = self._propagated(box(images[rest], images[rest])).error.flatten(1).amax(1)
            bounds[rest] = at_image.clamp(max=self.bound)
        return answers, margins, bounds

    def _propagated(self, inputs: Bounds) -> Bounds:
        return propagated(self._target, self._away, inputs, self._norms)


def _compared(layer: Layer, network: MaskedNetwork) -> tuple[Discrepancy, LayerReport]:
    """Return how far the two layers of a ticket are from the target's layer, from their weights alone."""
    steps = {step.output: step for step in network.program.steps}
    step = steps[layer.output]
    if not isinstance(step, Convolution):
        raise InputError(f"the network is no ticket of this target: it has no layer {layer.name}")
    before = steps.get(step.source)
    plain = (
        isinstance(before, Convolution)
        and (before.source, before.groups, before.activation)
        == (layer.source, layer.groups, Activation("relu"))
        and before.addend is None
        and before.stride == (1, 1)
        and before.padding == (0, 0)
        and bool((before.scales == 1).all())
        and not bool(before.biases.any())
    )
    _require(plain, layer, "a hidden layer of another form")
    hidden, second = (_masked(network, number) for number in (step.source, layer.output))
    slots, factors = _seen(layer, hidden)
    _check_alike(layer, step, second)
    sums, lost = _added(layer, second, slots, factors)
    wanted = layer.weight if layer.levels is None else layer.levels
    errors, negative = sums[:, :, 0] - wanted, sums[:, :, 1] + wanted
    if not layer.signed:
        negative = torch.zeros_like(negative)
    elif layer.constant:
        # The constant is never negative.
        negative[:, layer.inputs] = 0
    slack = layer.slack + lost.amax(2)
    if layer.gains is not None:
        # Both multiply their levels by the same gains, so that only other levels are errors.
        gains = layer.gains[:, None, None, None]
        errors, negative = errors * gains, negative * gains
        slack = lost.amax(2) * gains.abs() + 4 * UNIT * (errors.abs() + negative.abs())
    away = discrepancy(layer, errors, negative if layer.signed else None, slack)
    report = LayerReport(
        name=layer.name,
        samples=int(torch.bincount(slots[slots < 2 * layer.weight.shape[1]]).max()),
        hidden=len(hidden.weight),
        weights=sum(one.numel() for part in (hidden, second) for one in (part.weight, part.bias)),
        kept=sum(int(one.sum()) for part in (hidden, second) for one in (part.kept, part.bias_kept)),
        targets=int(layer.weight.count_nonzero()),
        largest_error=float(away.largest.max()),
        mean_error=float(away.largest.sum() / max(1, int(layer.weight.count_nonzero()))),
    )
    return away, report


def _added(layer: Layer, second: MaskedLayer, slots: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights that the kept products amount to, and what rounding may have done to each.

    Both are (out, in / groups, 2, height, width): those for numbers above 0, and for those below.
    """
    outputs, neurons, *kernel = second.weight.shape
    inputs = layer.weight.shape[1]
    sums = torch.zeros(outputs, 2 * inputs + 1, *kernel, dtype=torch.float64)
    lost = torch.zeros_like(sums)
    for rows in _chunks(outputs, outputs // layer.groups, neurons * kernel[0] * kernel[1]):
        first = rows.start // (outputs // layer.groups) * neurons
        own = slice(first, first + neurons)
        # Products of two single-precision numbers are exact.
        products = second.weight[rows].double() * second.kept[rows] * factors[own, None, None]
        sums[rows] = sums[rows].index_add(1, slots[own], products)
        sizes = lost[rows].index_add(1, slots[own], products.abs())
        # Multiples of a number of which no sum holds more than 2^53 are added exactly, in any order.
        grain = 2.0 ** (math.frexp(float(sizes.max()))[1] - 52)
        if bool(torch.frac(products / grain).any()):
            lost[rows] = sizes * (neurons + 2) * UNIT
    shape = (inputs, 2)
    return sums[:, :-1].unflatten(1, shape), lost[:, :-1].unflatten(1, shape)


def _seen(layer: Layer, hidden: MaskedLayer) -> tuple[Tensor, Tensor]:
    """Return what each hidden neuron sees, and the size of the weight by which it does.

    That is twice the input, one more for one that sees negative numbers, or the number after the last for
    nothing. A neuron that keeps two weights would be no such thing; nor would one with a negative constant.
    """
    kept = hidden.kept.flatten(1)
    number = kept.sum(1) + hidden.bias_kept
    inputs = layer.weight.shape[1]
    _require(int(number.max()) <= 1, layer, "a hidden neuron that keeps several weights")
    _require(layer.constant or not bool(hidden.bias_kept.any()), layer, "a constant that the target has not")
    columns = torch.where(hidden.bias_kept, layer.inputs, kept.float().argmax(1))
    values = torch.where(
        hidden.bias_kept,
        hidden.bias,
        hidden.weight.flatten(1).gather(1, kept.float().argmax(1)[:, None])[:, 0],
    ).double()
    _require(not bool((hidden.bias_kept & (values <= 0)).any()), layer, "a constant that is not above 0")
    # Of an input that is never negative a neuron with a negative weight sees nothing.
    nothing = (number == 0) | ((values < 0) & (not layer.signed))
    slots = torch.where(nothing, 2 * inputs, 2 * columns + (values < 0))
    return slots, values.abs()


def _check_alike(layer: Layer, step: Convolution, second: MaskedLayer) -> None:
    """Make sure that the second layer does what the target's does, but for its weights."""
    same = ("stride", "padding", "dilation", "groups", "addend", "activation")
    alike = all(getattr(layer, name) == getattr(step, name) for name in same)
    _require(alike, layer, "another geometry, addend or activation")
    gains = torch.ones(len(layer.weight)) if layer.gains is None else layer.gains
    offsets = torch.zeros(len(layer.weight)) if layer.offsets is None else layer.offsets
    own = torch.equal(step.scales[0], gains) and torch.equal(step.biases[0], offsets)
    _require(own, layer, "scales or biases that are not the target's")
    _require(not bool(second.bias_kept.any()), layer, "biases of its own")


def _require(holds: bool, layer: Layer, what: str) -> None:
    if not holds:
        raise InputError(f"the network is no ticket of this target: its layer {layer.name} has {what}")


def _masked(network: MaskedNetwork, number: int) -> MaskedLayer:
    return cast(MaskedLayer, network.layers[str(number)])


def _chunks(outputs: int, per_group: int, weights: int) -> Iterator[slice]:
    """Yield rows that lie in one group, few enough at once."""
    step = max(1, _AT_ONCE // weights)
    for first in range(0, outputs, per_group):
        for start in range(first, first + per_group, step):
            yield slice(start, min(first + per_group, start + step))

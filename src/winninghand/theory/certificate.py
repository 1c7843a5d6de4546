"""What is proved of a ticket: a bound of its error over the whole box of images, and answers image by image.

Nothing of how the mask was found is trusted. The weights that a ticket's layer amounts to are added up
anew from its random weights and masks, and compared with the target's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from winninghand.base.errors import InputError, checked_whole
from winninghand.theory.bounds import box
from winninghand.theory.comparison import LayerReport, compared
from winninghand.theory.copies import constants_after
from winninghand.theory.layers import UNIT, Layer, Target
from winninghand.theory.network import MaskedNetwork, masked_layer
from winninghand.theory.propagation import Discrepancy, norms_of, propagated


@dataclass(frozen=True, eq=False)
class Proof:
    """What is proved of some images, one number each.

    `answers`, int64 (N,), are the target's classes, `margins`, float64 (N,), the least by which its logit of
    that class is above another one. `proved`, bool (N,), says that the margin is more than twice the bound
    over the whole box. For the other images a bound at the image itself is found; `proved_here` says that the
    margin is more than twice that one, or that the image is proved already. In either case the ticket gives
    the same answer, in exact arithmetic. Networks that compute in single precision round by about 10⁻⁶ of
    the logits' size: where a margin is that small, what they answer is not proved, whatever this says.
    `bounds`, float64 (N,), are those that were used.
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
        # By value, what channels are constants, and not copies of the target's.
        constants = {0: torch.full(target.program.input_shape[:1], math.nan, dtype=torch.float64)}
        for step in target.steps:
            second = None
            if isinstance(step, Layer):
                self._away[step.output], report = compared(step, network, constants[step.source])
                self.layers += (report,)
                second = masked_layer(network, step.output)
            shapes = target.program.shapes
            size = network.program.shapes[step.output][0] // shapes[step.output][0]
            constants[step.output] = constants_after(step, constants, size, second, shapes)
        if not bool(constants[target.program.output].isnan().all()):
            raise InputError("the network is no ticket of this target: a logit is a constant")
        self.bounds = self._everywhere(self._away)
        self.bound = float(self.bounds.max())

    def shares(self) -> dict[int, float]:
        """Return for each layer, by its output, the bound if its weights alone were away."""
        exact = {
            number: replace(away, largest=torch.zeros_like(away.largest), norm=0.0)
            for number, away in self._away.items()
        }
        return {
            number: float(self._everywhere({**exact, number: away}).max())
            for number, away in self._away.items()
        }

    def prove(self, images: Tensor, batch_size: int = 64) -> Proof:
        """Return what is proved of images (N, C, H, W) in [0, 1]: that ticket and target answer alike.

        Margins are those of exact arithmetic: what rounding may have added to them is taken off. Raises
        `InputError` for images of another shape or range, and a batch size below 1.
        """
        shape = self._target.program.input_shape
        if not isinstance(images, Tensor) or images.ndim < 2 or len(images) == 0:
            raise InputError("images must be a tensor of one image or more, (N, C, H, W)")
        if math.prod(images.shape[1:]) == math.prod(shape):
            images = images.reshape(len(images), *shape)
        if images.shape[1:] != shape or not bool(((images >= 0) & (images <= 1)).all()):
            raise InputError(f"images must be (N, {', '.join(map(str, shape))}) in [0, 1]")
        batch_size = checked_whole("batch_size", batch_size, 1)
        parts = [self._proved(part.double()) for part in images.split(batch_size)]
        answers, margins, bounds = (torch.cat(one) for one in zip(*parts, strict=True))
        return Proof(answers, margins, bounds, margins > 2 * self.bound, margins > 2 * bounds)

    def _proved(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = propagated(self._target, {}, box(images, images), self._norms)
        low, high = logits.low.flatten(1), logits.high.flatten(1)
        answers = low.argmax(1)
        others = high.scatter(1, answers[:, None], -torch.inf).amax(1)
        margins = low.gather(1, answers[:, None]).flatten() - others
        # Of a single class the margin is infinite.
        margins = torch.where(margins.isinf(), margins, margins - 4 * UNIT * margins.abs())
        bounds = torch.full_like(margins, self.bound)
        rest = (margins <= 2 * self.bound).nonzero().flatten()
        if len(rest):
            point = box(images[rest], images[rest])
            at_image = propagated(self._target, self._away, point, self._norms).error.flatten(1).amax(1)
            bounds[rest] = at_image.clamp(max=self.bound)
        return answers, margins, bounds

    def _everywhere(self, away: Mapping[int, Discrepancy]) -> Tensor:
        """Return the bound of each logit over the whole box of images, (classes,)."""
        shape = self._target.program.input_shape
        inputs = box(torch.zeros(1, *shape), torch.ones(1, *shape))
        return propagated(self._target, away, inputs, self._norms).error.flatten()

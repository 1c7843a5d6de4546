"""The methods, each as a whole: its settings, its plan of phases and, where not by magnitude, its masks.

A new one is a class like these and a registered name: its line in `base/catalog.py`, an entry point
of another package, or `METHODS.register`.
"""

from __future__ import annotations

from abc import ABC
from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn

from winninghand.base.errors import LARGEST, InputError, counted
from winninghand.compression.budget import Budget
from winninghand.compression.edge_popup import EdgePopupMasks
from winninghand.compression.init import Init, draw_scores, draw_weights
from winninghand.compression.masks import Masks
from winninghand.compression.method import Method, Start
from winninghand.compression.prunable import prunable_weights
from winninghand.compression.schedules import (
    MOST_EPOCHS,
    MOST_ROUNDS,
    Phase,
    Ramp,
    in_rounds,
    round_sparsities,
)


class Dense(Method):
    """The network as it is, for comparison: one phase, nothing removed, whatever the sparsity."""

    name: ClassVar[str] = "dense"

    def plan(self, epochs: int, start: Start = Start()) -> tuple[Phase, ...]:
        """Return the one phase."""
        return (Phase(epochs, sparsity=0.0),)

    def respects_zeros(self) -> bool:
        """Return false: all weights are trained."""
        return False

    def ignored(self) -> frozenset[str]:
        """Return all settings: nothing is removed."""
        return frozenset(type(self).model_fields)


class FineTuning(Method):
    """Train; prune the smallest weights once, to the target; train on at a small constant rate.

    Han et al. 2015, arXiv:1506.02626. The rate stands for the last of a schedule of steps, since a
    cosine ends at 0: 0.01 of the first, as in Liu et al. 2019, arXiv:1810.05270, who tune for a
    quarter of the epochs.
    """

    name: ClassVar[str] = "ft"
    last_phase_key: ClassVar[str | None] = "fine_tune_epochs"

    fine_tune_epochs: int | None = Field(
        default=None, ge=1, le=MOST_EPOCHS, description="after pruning; None: as before"
    )
    fine_tune_rate: float = Field(default=0.01, gt=0, description="fraction of the learning rate, constant")

    def plan(self, epochs: int, start: Start = Start()) -> tuple[Phase, ...]:
        """Return a dense phase, unless the network is trained already, and one of tuning."""
        if self.sparsity <= start.sparsity:
            return (Phase(epochs, start.sparsity),)
        tuning = Phase(
            self.fine_tune_epochs or epochs, self.sparsity, rate=self.fine_tune_rate, constant=True
        )
        return (tuning,) if start.trained else (Phase(epochs, start.sparsity), tuning)


class GradualMagnitudePruning(Method):
    """One training, in which the smallest weights go every few steps between two moments.

    Zhu & Gupta 2017, arXiv:1710.01878.
    """

    name: ClassVar[str] = "gmp"

    prune_from: float = Field(default=0.2, ge=0, lt=1, description="fraction of the phase")
    prune_until: float = Field(default=0.8, gt=0, le=1, description="fraction of the phase")
    update_every: int = Field(default=10, ge=1, le=LARGEST, description="steps between two prunings")

    def plan(self, epochs: int, start: Start = Start()) -> tuple[Phase, ...]:
        """Return the one phase, its sparsity rising from the present one."""
        ramp = Ramp(start.sparsity, self.prune_from, self.prune_until, self.update_every)
        return (Phase(epochs, self.sparsity, ramp=ramp),)

    @model_validator(mode="after")
    def _rises(self) -> GradualMagnitudePruning:
        if self.prune_from >= self.prune_until:
            raise InputError("prune_from must be below prune_until")
        return self


class IterativePruning(Method, ABC):
    """Train; then, round by round, prune the smallest weights and train again, until the target."""

    last_phase_key: ClassVar[str | None] = "last_epochs"

    fraction_per_round: float = Field(default=0.2, gt=0, lt=1, description="of the weights that remain")
    milestones: tuple[float, ...] = Field(
        default=(),
        strict=False,
        max_length=MOST_ROUNDS,
        description="sparsities of the rounds before the last, in place of a fraction",
    )
    last_epochs: int | None = Field(
        default=None, ge=1, le=MOST_EPOCHS, description="of the last round; None: as the other phases"
    )

    def rounds(self, present: float) -> tuple[float, ...]:
        """Return the sparsity after each round, from a `present` one to the target."""
        if not self.milestones:
            return round_sparsities(self.sparsity, self.fraction_per_round, present)
        before = [sparsity for sparsity in self.milestones if present < sparsity < self.sparsity]
        return (*before, self.sparsity) if self.sparsity > present else ()

    def ignored(self) -> frozenset[str]:
        """Return the fraction, where milestones stand in its place."""
        return super().ignored() | ({"fraction_per_round"} if self.milestones else set())

    @field_validator("milestones")
    @classmethod
    def _rising(cls, sparsities: tuple[float, ...]) -> tuple[float, ...]:
        if any(not low < high for low, high in pairwise((0.0, *sparsities, 1.0))):
            raise InputError(f"milestones must rise between 0 and 1, not {list(sparsities)}")
        return sparsities


class WeightRewinding(IterativePruning):
    """Lottery tickets: each round sets the weights that are left back to an early moment.

    Frankle & Carbin 2019, arXiv:1803.03635; Frankle et al. 2020, arXiv:1912.05671. A round starts
    from the weights, biases and norms that the first training had at `rewind_epoch`, and replays the
    learning-rate schedule from there. The first training takes place whether or not the network
    is trained, since it is what is rewound to.
    """

    name: ClassVar[str] = "lth"

    rewind_epoch: float = Field(default=0.0, ge=0, description="to its weights; fractions are steps")

    def plan(self, epochs: int, start: Start = Start()) -> tuple[Phase, ...]:
        """Return a first phase and one phase per round."""
        moment, shortest = self.rewind_epoch, min(epochs, self.last_epochs or epochs)
        if moment >= shortest:
            raise InputError(
                f"rewind_epoch {moment:g} must lie before the end of {counted(shortest, 'epoch')}"
            )
        first = Phase(epochs, start.sparsity, remember=moment)
        again = Phase(epochs, start.sparsity, begin=moment, rewound=True)
        return (first, *in_rounds(again, self.rounds(start.sparsity), self.last_epochs))


class LearningRateRewinding(IterativePruning):
    """Each round starts from the trained weights and replays the whole learning-rate schedule.

    Renda, Frankle & Carbin 2020, arXiv:2003.02389. Under `rewind_lr_factor` the schedule has a lower
    top: where rounds are short, a high one undoes more than they mend (Zimmer, Spiegel & Pokutta
    2023, arXiv:2111.00843).
    """

    name: ClassVar[str] = "lrr"

    rewind_lr_factor: float = Field(
        default=1.0, gt=0, description="fraction of the learning rate that a round goes back to"
    )

    def plan(self, epochs: int, start: Start = Start()) -> tuple[Phase, ...]:
        """Return a dense phase, unless the network is trained already, and one phase per round."""
        again = Phase(epochs, start.sparsity, rate=self.rewind_lr_factor)
        rounds = in_rounds(again, self.rounds(start.sparsity), self.last_epochs)
        return rounds if start.trained and rounds else (Phase(epochs, start.sparsity), *rounds)


class EdgePopup(Method):
    """Find a subnetwork of random weights that are never trained: one phase, scores are trained instead.

    Ramanujan et al. 2020, arXiv:1911.13299. Weights are redrawn, and norms and biases rest, unless
    settings say else. Weights that were excluded from pruning are trained in any case.
    """

    name: ClassVar[str] = "ep"
    binary: ClassVar[bool] = False
    first_sparsity: ClassVar[float] = 0.5

    ramp_epochs: float = Field(default=10.0, ge=0, description="at most half of the epochs count")
    init: Init = Field(default="kaiming_normal", description="how weights are redrawn")
    train_norm: bool = Field(default=False, description="train norms and biases too")

    def plan(self, epochs: int, start: Start = Start()) -> tuple[Phase, ...]:
        """Return the one phase; a sparsity above 50% ramps up from 50%, so that no layer empties."""
        ramp = None
        if self.sparsity > self.first_sparsity:
            ramp = Ramp(self.first_sparsity, 0.0, min(self.ramp_epochs / epochs, 0.5))
        return (Phase(epochs, self.sparsity, ramp=ramp),)

    def masks(
        self, network: nn.Module, weights: dict[str, nn.Parameter], budget: Budget, start: Start, seed: int
    ) -> Masks:
        """Return masks by scores; weights and scores are drawn from the seed."""
        generator = torch.Generator().manual_seed(seed)
        draw_weights(weights, self.init, 1 - self.sparsity, seed)
        trained = [] if not self.train_norm else list(network.parameters())
        moving = {id(parameter) for parameter in (*trained, *prunable_weights(network).values())}
        resting = [
            parameter
            for parameter in network.parameters()
            if parameter.requires_grad and id(parameter) not in moving
        ]
        scores, drawn = draw_scores(weights, generator), self.init != "keep"
        return EdgePopupMasks(network, weights, scores, budget, self.binary, resting, drawn)

    def respects_zeros(self) -> bool:
        """Say whether the weights are kept, and their zeros with them."""
        return self.init == "keep"


class Biprop(EdgePopup):
    """Edge-popup on binary weights: each is its sign times one magnitude per layer.

    Diffenderfer & Kailkhura 2021, arXiv:2103.09377. The magnitude is the mean |w| of what is kept,
    measured again with every new mask.
    """

    name: ClassVar[str] = "bp"
    binary: ClassVar[bool] = True

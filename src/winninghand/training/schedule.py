"""Where a training is: its phases in steps, their learning rates, and all that belongs to the present one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from winninghand.augmentation import Domain
from winninghand.cards import Normalisation
from winninghand.compression import Masks, Phase
from winninghand.recipe import Training
from winninghand.training.average import WeightAverage
from winninghand.training.data import Batches
from winninghand.training.processes import ALONE, Alone
from winninghand.training.run_folder import EpochMetrics, RunFolder

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Schedule:
    """One phase in steps, numbered from 0 at the beginning of its schedule; it may be entered later."""

    phase: Phase
    per_epoch: int
    settings: Training

    @property
    def first(self) -> int:
        """The step at which the phase begins."""
        return int(self.phase.begin * self.per_epoch)

    @property
    def end(self) -> int:
        """The step after the last."""
        return self.phase.epochs * self.per_epoch

    @property
    def remembered(self) -> int | None:
        """The step before which the weights are kept for later phases."""
        return None if self.phase.remember is None else int(self.phase.remember * self.per_epoch)

    @property
    def epochs(self) -> int:
        """How many epochs are begun, the first of which may be entered in its middle."""
        return self.phase.epochs - int(self.phase.begin)

    def __len__(self) -> int:
        return self.end - self.first

    def after(self, epochs: int | None) -> int:
        """Return the step that follows so many epochs; None is the beginning of the phase."""
        return self.first if epochs is None else epochs * self.per_epoch

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        peak = self.settings.learning_rate * self.phase.rate
        return peak if self.phase.constant else cosine_with_warmup(step, self.end, peak, self.settings.warmup)

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of the phase for those weights of a network that are to be trained."""
        return torch.optim.SGD(
            [weight for weight in network.parameters() if weight.requires_grad],
            lr=self.settings.learning_rate,
            momentum=self.settings.momentum,
            nesterov=self.settings.momentum > 0,
            weight_decay=self.settings.weight_decay,
            fused=True,
        )

    def described(self) -> PlannedPhase:
        """Return the phase in words and numbers."""
        phase = self.phase
        # It rises to a top and falls from there.
        top = min(max(self.first, round(self.end * self.settings.warmup)), self.end - 1)
        first, highest, last = (self.learning_rate(step) for step in (self.first, top, self.end - 1))
        sparsity = f"{phase.sparsity:.2%}"
        if phase.ramp is not None:
            begin, end = phase.ramp.begin * phase.epochs, phase.ramp.end * phase.epochs
            sparsity = f"{phase.ramp.start:.2%} → {sparsity}, epoch {begin:.3g} to {end:.3g}"
        return PlannedPhase(
            epochs=f"{phase.begin:g} to {phase.epochs}" if phase.begin else str(phase.epochs),
            steps=len(self),
            sparsity=sparsity,
            learning_rate=f"{highest:.3g}, constant"
            if phase.constant
            else f"{first:.3g} → {highest:.3g} → {last:.1g}",
            start=f"the weights of epoch {phase.begin:g}" if phase.rewound else "the present weights",
        )


@dataclass(frozen=True)
class Stage:
    """A phase under way: its number from 0, its steps, the network as the device runs it, its optimizer."""

    number: int
    schedule: Schedule
    model: nn.Module
    optimizer: torch.optim.Optimizer


@dataclass
class TrainingState:
    """A training under way.

    `network` is what is trained, on the device of `fabric`, and `channels_last` the layout of its weights
    and images; `masks` say what of it is pruned. `stage` is
    the present phase: its number, schedule, model and optimizer. `epoch` counts from 0 within it, and
    `steps_done` over all phases. `begun` is what a checkpoint within the present epoch says of its steps,
    None where the epoch is entered at its beginning. `metrics` has one dictionary per epoch that is done.
    `average` is the moving average of the weights, None where there is none. `processes` are those that
    train together.
    """

    network: nn.Module
    channels_last: bool
    masks: Masks
    domain: Domain
    normalisation: Normalisation
    batches: Batches
    settings: Training
    seed: int
    fabric: Fabric
    folder: RunFolder
    phases: Sequence[Phase]
    metrics: list[EpochMetrics] = field(default_factory=list)
    epoch: int = 0
    steps_done: int = 0
    begun: dict[str, Any] | None = None
    average: WeightAverage | None = None
    processes: Alone = ALONE
    schedules: list[Schedule] = field(init=False)
    stage: Stage = field(init=False)

    def seen(self, images: Tensor) -> Tensor:
        """Return float images (…, 3, H, W) in [0, 1] as the network sees them: normalised, in its layout."""
        normalised: Tensor = self.normalisation(images)
        return normalised if self.channels_last else normalised.contiguous()

    @contextmanager
    def as_shipped(self) -> Iterator[None]:
        """Have the network for a while as it would be if the training ended here."""
        if self.average is None:
            yield
            return
        with self.average.in_place():
            self.masks.apply()
            yield
        self.masks.apply()

    @property
    def checkpoint_bytes(self) -> int:
        """How many bytes a checkpoint takes, roughly: the network, its momentum and its average."""
        copies = 1 + (self.settings.momentum > 0) + (self.settings.average > 0)
        return copies * sum(int(tensor.nbytes) for tensor in self.network.state_dict().values())

    def state_dict(self) -> dict[str, Any]:
        """Return what a training goes on from after the present epoch, but for the metrics."""
        return {
            "phase": self.stage.number,
            "epoch": self.epoch + 1,
            "network": self.network.state_dict(),
            "optimizer": self.stage.optimizer.state_dict(),
            "masks": self.masks.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }


@dataclass(frozen=True)
class PlannedPhase:
    """One phase in words and numbers; `steps` are those that it takes."""

    epochs: str
    steps: int
    sparsity: str
    learning_rate: str
    start: str


@dataclass(frozen=True)
class Forecast:
    """The phases of a run, and the time of a step in seconds as measured on this machine."""

    phases: tuple[PlannedPhase, ...]
    seconds_per_step: float


def cosine_with_warmup(step: int, steps: int, peak: float, warmup: float) -> float:
    """Return the learning rate of `step` (0-based) in a phase of `steps` steps.

    It rises linearly to `peak` over the first `warmup` fraction of the steps, then falls along a
    half cosine (Loshchilov & Hutter 2017, equation 5) and would reach 0 one step after the last.
    """
    rising = round(steps * warmup)
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    progress = (step - rising) / (steps - rising)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))

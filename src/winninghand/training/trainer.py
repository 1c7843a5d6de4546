"""The loop: phases of epochs of steps; and the hooks by which callbacks watch it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from winninghand.augmentation import Domain
from winninghand.cards import Card, Normalisation
from winninghand.compression import Masks, Phase
from winninghand.recipe import Training
from winninghand.training.average import WeightAverage
from winninghand.training.data import ResidentSplit, generator_of, seed_of
from winninghand.training.run_folder import EpochMetrics, RunFolder
from winninghand.training.schedule import Schedule, Stage

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Callback:
    """Watches a training; a subclass overrides the hooks that it needs, and the others do nothing.

    ```python
    class PrintLoss(wh.Callback):
        def on_epoch_end(self, trainer, metrics):
            print(trainer.epoch, metrics["train_loss"])

    wh.train(recipe, images, callbacks=[PrintLoss()])
    ```

    Every hook gets the `Trainer`. To be read there: `network`, `masks`, `stage` (`.number` of the
    phase, `.optimizer`, `.schedule`), `epoch` (from 0, in its phase), `steps_done` (over all phases),
    `metrics` (one dictionary per epoch that is done), `settings` and `folder`. A resumed run calls
    `on_train_start` again, and goes on with the epoch after its checkpoint.
    """

    def on_train_start(self, trainer: Trainer) -> None:
        """Called before the first step, after a checkpoint has been read where there is one."""

    def on_phase_start(self, trainer: Trainer) -> None:
        """Called before the first step of each phase, when the network is pruned or rewound for it."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Called before the first step of each epoch."""

    def on_step_end(self, trainer: Trainer, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Called after each optimizer step.

        `loss` is a scalar; `logits` (B, classes) are those of the first view, and `labels` are int64
        (B,). All lie on the training device: to read a value is to wait for it.
        """

    def on_epoch_end(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        """Called after each epoch; what is added to `metrics` goes to `metrics.csv` and to loggers.

        When the caller's callbacks are called, the run's own figures are in `metrics`, validation
        included. The checkpoint is written afterwards.
        """

    def on_train_end(self, trainer: Trainer) -> None:
        """Called after the last step, when the network holds the card's weights."""

    def on_card(self, trainer: Trainer, card: Card) -> None:
        """Called when the card is made, quantized and measured, before it is saved."""

    def on_exception(self, trainer: Trainer, error: BaseException) -> None:
        """Called where the training stops early: by an error, or by Ctrl-C."""


@dataclass
class Trainer:
    """Trains one network, on its device, through phases.

    All randomness of a step comes from (seed, phase, epoch, step), so that a run resumed from
    the checkpoint of an epoch goes on as if it had never stopped.
    """

    network: nn.Module
    masks: Masks
    domain: Domain
    normalisation: Normalisation
    batches: ResidentSplit
    settings: Training
    seed: int
    fabric: Fabric
    folder: RunFolder
    phases: Sequence[Phase]
    callbacks: Sequence[Callback] = ()
    metrics: list[EpochMetrics] = field(default_factory=list)
    epoch: int = 0
    steps_done: int = 0
    average: WeightAverage | None = None
    stage: Stage = field(init=False)

    def __post_init__(self) -> None:
        self.schedules = [Schedule(phase, len(self.batches), self.settings) for phase in self.phases]
        # A step calls only those who override the hook.
        watching = [one for one in self.callbacks if type(one).on_step_end is not Callback.on_step_end]
        self._after_step = [one.on_step_end for one in watching]

    def run(self) -> None:
        """Train through all phases, going on from the folder's checkpoint where there is one."""
        state = self.folder.load_checkpoint(self.fabric.device)
        begun = 0 if state is None else self._restore(state)
        cuda = [self.fabric.device] if self.fabric.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            try:
                self.call("on_train_start")
                for number in range(begun, len(self.phases)):
                    self._phase(number, state if number == begun else None)
            except BaseException as error:
                self.call("on_exception", error)
                raise
        if self.average is not None:
            self.average.to_network()
            self.masks.apply()
        self.masks.finish()
        self.call("on_train_end")

    def call(self, hook: str, *arguments: Any) -> None:  # noqa: ANN401 (each hook has its own)
        """Call a hook of all callbacks, in their order."""
        for watcher in self.callbacks:
            getattr(watcher, hook)(self, *arguments)

    def enter(self, number: int) -> None:
        """Make a phase the present one, with an optimizer of its own."""
        schedule = self.schedules[number]
        module = cast(nn.Module, torch.compile(self.network)) if self.settings.compiled else self.network
        self.stage = Stage(number, schedule, *self.fabric.setup(module, schedule.optimizer(self.network)))

    def step(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Take one step; return the loss, and the logits (B, classes) of the first view."""
        views = self.normalisation(self.domain.views(images, generator))
        logits = self.stage.model(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        loss = self.domain.loss(logits, labels, self.settings.label_smoothing)
        self.stage.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.stage.optimizer.step()
        self.masks.after_step()
        if self.average is not None:
            self.average.after_step()
        return loss, logits[0]

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

    def _restore(self, state: dict[str, Any]) -> int:
        """Take up a checkpoint; return the number of the phase it lies in."""
        self.network.load_state_dict(state["network"])
        self.masks.load_state_dict(state["masks"])
        self.metrics = state["rows"]
        number: int = state["phase"]
        before, schedule = self.schedules[:number], self.schedules[number]
        self.steps_done = sum(map(len, before)) + schedule.after(state["epoch"]) - schedule.first
        return number

    def _phase(self, number: int, state: dict[str, Any] | None) -> None:
        """Train through a phase, going on from the checkpoint `state` of its own where there is one."""
        self.enter(number)
        schedule, phase = self.stage.schedule, self.stage.schedule.phase
        first = schedule.after(None if state is None else state["epoch"])
        self.masks.begin(phase, schedule.end, first, resumed=state is not None)
        if state is not None:
            self.stage.optimizer.load_state_dict(state["optimizer"])
        elif phase.rewound:
            self.network.load_state_dict(self.folder.load_rewind(self.fabric.device))
            self.masks.apply()
        # Earlier phases only lead to where the last begins.
        if self.settings.average > 0 and number == len(self.phases) - 1:
            self.average = WeightAverage(self.network, self.settings.average)
            if state is not None:
                self.average.load_state_dict(state["average"])
        self.call("on_phase_start")
        for epoch in range(first // len(self.batches), phase.epochs):
            self._epoch(number, epoch, schedule)

    def _epoch(self, number: int, epoch: int, schedule: Schedule) -> None:
        self.epoch = epoch
        self.stage.model.train()
        # Dropout and the like in a caller's network draw from torch's own generator.
        torch.manual_seed(seed_of(self.seed, number, epoch, "network"))
        self.call("on_epoch_start")
        for step, (images, labels) in enumerate(self.batches.epoch(self.seed, number, epoch)):
            position = schedule.after(epoch) + step
            if position < schedule.first:
                continue
            if position == schedule.remembered:
                self.folder.save_rewind(self.network.state_dict())
            for group in self.stage.optimizer.param_groups:
                group["lr"] = schedule.learning_rate(position)
            generator = generator_of(self.fabric.device, self.seed, number, epoch, step)
            loss, logits = self.step(images, labels, generator)
            self.steps_done += 1
            for hook in self._after_step:
                hook(self, loss, logits, labels)
        metrics: EpochMetrics = {"phase": number, "epoch": epoch}
        self.call("on_epoch_end", metrics)
        self.metrics.append(metrics)

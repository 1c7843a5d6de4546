"""What a training is at, and the hooks by which callbacks see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from winninghand.augmentation import Domain
from winninghand.cards import Card, Normalisation
from winninghand.compression import Masks, Phase
from winninghand.recipe import Training
from winninghand.training.average import WeightAverage
from winninghand.training.data import ResidentSplit
from winninghand.training.run_folder import EpochMetrics, RunFolder
from winninghand.training.schedule import Schedule, Stage

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class TrainingState:
    """A training under way.

    `network` is what is trained, on the device of `fabric`; `masks` say what of it is pruned. `stage` is
    the present phase: its number, schedule, model and optimizer. `epoch` counts from 0 within it, and
    `steps_done` over all phases. `metrics` has one dictionary per epoch that is done. `average` is the
    moving average of the weights, None where there is none.
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
    metrics: list[EpochMetrics] = field(default_factory=list)
    epoch: int = 0
    steps_done: int = 0
    average: WeightAverage | None = None
    schedules: list[Schedule] = field(init=False)
    stage: Stage = field(init=False)

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


class Callback:
    """Watches a training; a subclass overrides the hooks that it needs, and the others do nothing.

    ```python
    class PrintLoss(wh.Callback):
        def on_epoch_end(self, trainer, metrics):
            print(trainer.epoch, metrics["train_loss"])

    wh.train(recipe, images, callbacks=[PrintLoss()])
    ```

    Every hook gets the trainer, of which all fields of `TrainingState` may be read. A resumed run calls
    `on_train_start` again, and goes on with the epoch after its checkpoint.
    """

    def on_train_start(self, trainer: TrainingState) -> None:
        """Called before the first step, after a checkpoint has been read where there is one."""

    def on_phase_start(self, trainer: TrainingState) -> None:
        """Called before the first step of each phase, when the network is pruned or rewound for it."""

    def on_epoch_start(self, trainer: TrainingState) -> None:
        """Called before the first step of each epoch."""

    def on_step_end(self, trainer: TrainingState, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Called after each optimizer step.

        `loss` is a scalar; `logits` (B, classes) are those of the first view, and `labels` are int64
        (B,). All lie on the training device: to read a value is to wait for it.
        """

    def on_epoch_end(self, trainer: TrainingState, metrics: EpochMetrics) -> None:
        """Called after each epoch; what is added to `metrics` goes to `metrics.csv` and to loggers.

        When the caller's callbacks are called, the run's own figures are in `metrics`, validation
        included. The checkpoint is written afterwards.
        """

    def on_train_end(self, trainer: TrainingState) -> None:
        """Called after the last step, when the network holds the card's weights."""

    def on_card(self, trainer: TrainingState, card: Card) -> None:
        """Called when the card is made, quantized and measured, before it is saved."""

    def on_exception(self, trainer: TrainingState, error: BaseException) -> None:
        """Called where the training stops early: by an error, or by Ctrl-C."""

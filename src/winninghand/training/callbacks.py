"""What watches a training: the base class of callbacks, and those of every run; long, for all of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from winninghand.base.device import to_unit
from winninghand.base.errors import InputError, counted, shown
from winninghand.base.progress import duration, is_drawn, progress_bar, say_line
from winninghand.cards import Card
from winninghand.recipe import LAYER_FLOOR
from winninghand.training.data import LEAST_STEPS, Batches
from winninghand.training.run_folder import EpochMetrics
from winninghand.training.schedule import TrainingState

if TYPE_CHECKING:
    pass

_LOG = logging.getLogger("winninghand")
_STEPS_BETWEEN_CHECKS = 100
_NEVER = 2**62
_NAMED = 5
_LOGGER_HOOKS = ("log_hyperparams", "log_metrics", "save", "finalize")


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
        (B,). All lie on the training device: to read a value is to wait for it. Where several processes
        train together, each is called with its part of the batch.
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


def check_watchers(callbacks: object, loggers: object) -> None:
    """Raise `InputError` unless these are lists of callbacks, and of what logs as Lightning's loggers do."""
    for name, given in (("callbacks", callbacks), ("loggers", loggers)):
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise InputError(f"{name} must be a list, not {type(given).__name__}")
        for one in given:
            if name == "callbacks" and not isinstance(one, Callback):
                raise InputError(f"a callback must be an object of wh.Callback, not {shown(repr(one))}")
            missing = [hook for hook in _LOGGER_HOOKS if not callable(getattr(one, hook, None))]
            if name == "loggers" and (missing or isinstance(one, type)):
                raise InputError(
                    f"a logger must be an object with {', '.join(_LOGGER_HOOKS)}, as Lightning's are, "
                    f"not {shown(repr(one))}"
                )


class DivergedError(InputError):
    """A training whose loss, weights or answers are finite no more."""


class Meter(Callback):
    """Measures loss, accuracy and speed of each epoch, and stops a training that has diverged.

    Sums are kept on the device, so that no step waits for the host.
    """

    def on_epoch_start(self, trainer: TrainingState) -> None:
        """Start from nothing."""
        device = trainer.fabric.device
        self._loss = torch.zeros((), device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        # The first step whose loss was not finite, found on the device without waiting for it.
        self._bad = torch.full((), _NEVER, dtype=torch.int64, device=device)
        self._steps = 0
        self._started = time.perf_counter()
        begun = trainer.begun
        if begun is not None:
            self._steps = begun["measured"]
            self._started -= begun["seconds"]
            if trainer.processes.rank == 0:  # the sums of all processes
                self._loss += begun["loss"].to(device)
                self._correct += begun["correct"].to(device)

    def on_step_end(self, trainer: TrainingState, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a step."""
        loss = loss.detach()
        self._loss += loss
        self._bad.masked_fill_(~torch.isfinite(loss) & (self._bad > self._steps), self._steps)
        self._correct += (logits.detach().argmax(dim=1) == labels).sum()
        self._steps += 1
        if self._steps % _STEPS_BETWEEN_CHECKS == 0:
            bad = int(trainer.processes.least(self._bad))
            if bad < _NEVER:
                raise self._diverged(trainer, bad)

    def on_epoch_end(self, trainer: TrainingState, metrics: EpochMetrics) -> None:
        """Add the epoch's means, its speed and its sparsity, where loss and weights are finite."""
        processes = trainer.processes
        bad = int(processes.least(self._bad))
        seconds = time.perf_counter() - self._started
        if bad == _NEVER and not is_finite(trainer):
            bad = self._steps - 1
        if bad < _NEVER:
            raise self._diverged(trainer, bad)
        metrics["learning_rate"] = trainer.stage.optimizer.param_groups[0]["lr"]
        images = trainer.batches.batch_size * self._steps
        # Of a loss each process has its share: their mean is that of the whole batch.
        metrics["train_loss"] = float(processes.total(self._loss)) / processes.size / self._steps
        metrics["train_accuracy"] = int(processes.total(self._correct)) / images
        metrics["images_per_second"] = images / seconds
        metrics["seconds"] = seconds
        metrics.update(trainer.masks.end_epoch())

    def state_dict(self, trainer: TrainingState) -> dict[str, Any]:
        """Return the sums of the epoch's steps so far, of all processes, for a checkpoint."""
        return {
            "measured": self._steps,
            "seconds": time.perf_counter() - self._started,
            "loss": trainer.processes.total(self._loss),
            "correct": trainer.processes.total(self._correct),
        }

    def _diverged(self, trainer: TrainingState, step: int) -> DivergedError:
        """Return the error for a training that diverged at a step, counted from 0 since the epoch's first."""
        stage, epoch = trainer.stage, trainer.epoch
        # Steps before the one at which a phase begins within an epoch are not seen here.
        step += max(0, stage.schedule.first - stage.schedule.after(epoch))
        rate = stage.schedule.learning_rate(stage.schedule.after(epoch) + step)
        if trainer.metrics:
            last = trainer.metrics[-1]
            where = f"phase {last['phase'] + 1}, epoch {last['epoch'] + 1}"
            good = f"the last good checkpoint is {trainer.folder.checkpoint}, after {where}"
        else:
            good = "there is no checkpoint yet"
        return DivergedError(
            f"the training diverged at step {step + 1} of epoch {epoch + 1} of phase {stage.number + 1}, "
            f"at learning rate {rate:.3g}; lower training.learning_rate and use a new folder ({good})"
        )


def is_finite(trainer: TrainingState) -> bool:
    """Say whether all weights are finite."""
    sums = torch.stack([weight.detach().float().sum() for weight in trainer.network.parameters()])
    return bool(sums.isfinite().all())


class Alive(Callback):
    """Stops a training in which pruning has emptied a layer, unless that is allowed or it came so."""

    def __init__(self, empty: Collection[str], allowed: bool) -> None:
        self._empty = frozenset(empty)
        self._allowed = allowed

    def on_phase_start(self, trainer: TrainingState) -> None:
        """Look at once after the network was pruned for a phase."""
        emptied = [] if self._allowed else [one for one in trainer.masks.emptied() if one not in self._empty]
        if emptied:
            first = ", ".join(emptied[:_NAMED]) + (", …" if len(emptied) > _NAMED else "")
            raise InputError(
                f"at a sparsity of {trainer.masks.sparsity:.2%} {counted(len(emptied), 'layer')} of "
                f"{len(trainer.masks.weights)} would have no weight left: {first}; set "
                f'compression.layer_floor = {LAYER_FLOOR:g} or scope = "layerwise", or lower the sparsity; '
                "compression.allow_empty = true goes on without"
            )

    def on_epoch_end(self, trainer: TrainingState, metrics: EpochMetrics) -> None:
        """Look again where a phase prunes while it trains."""
        self.on_phase_start(trainer)


class Validation(Callback):
    """Measures the accuracy on the validation images after each epoch, on what would be the card then."""

    def __init__(self, images: Batches) -> None:
        self._images = images

    def on_epoch_end(self, trainer: TrainingState, metrics: EpochMetrics) -> None:
        """Add `validation_accuracy`, a fraction; each process looks at its part of the batches."""
        processes = trainer.processes
        with trainer.as_shipped(), torch.inference_mode():
            model = trainer.stage.model.eval()
            correct = torch.zeros((), dtype=torch.int64, device=trainer.fabric.device)
            for images, labels in self._images.in_order(processes.rank, processes.size):
                logits = model(trainer.seen(to_unit(images)))
                correct += (logits.argmax(dim=1) == labels).sum()
        metrics["validation_accuracy"] = int(processes.total(correct)) / len(self._images.labels)


class Checkpoint(Callback):
    """Keeps `metrics.csv` and `checkpoint.pt` after each epoch; a run goes on from there."""

    def on_epoch_end(self, trainer: TrainingState, metrics: EpochMetrics) -> None:
        """Write both files, the checkpoint last."""
        rows = [*trainer.metrics, metrics]
        trainer.folder.write_metrics(rows)
        trainer.folder.save_checkpoint({**trainer.state_dict(), "rows": rows})


class Progress(Callback):
    """Shows how far the training is, how well it goes, and from where a resumed one goes on.

    A bar on a terminal, a line in a notebook that is written anew, and a line per epoch elsewhere.
    """

    def __init__(self) -> None:
        self._shown = ExitStack()
        self._figures = ""

    def on_train_start(self, trainer: TrainingState) -> None:
        """Open the bar."""
        size, steps = trainer.batches.batch_size, len(trainer.batches)
        self._epochs = sum(schedule.epochs for schedule in trainer.schedules)
        done = len(trainer.metrics)
        if (done > 0 or trainer.begun is not None) and done < self._epochs:
            epoch = f"epoch {done + 1} of {self._epochs}"
            where = epoch if trainer.begun is None else f"the middle of {epoch}"
            _LOG.warning("%s: going on from %s", trainer.folder.path, where)
        elif steps < LEAST_STEPS:
            _LOG.warning(
                "an epoch has only %s, of %d images; smaller batches learn more in it",
                counted(steps, "step"),
                size,
            )
        self._total = sum(len(schedule) for schedule in trainer.schedules)
        self._begun, self._started = trainer.steps_done, time.monotonic()
        self._progress = self._shown.enter_context(
            progress_bar("training", self._total * size, done=trainer.steps_done * size)
        )

    def on_step_end(self, trainer: TrainingState, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch."""
        self._progress(trainer.batches.batch_size, f"{self._where(trainer)}{self._figures}")

    def on_epoch_end(self, trainer: TrainingState, metrics: EpochMetrics) -> None:
        """Tell the figures of an epoch: with the next steps where a bar is drawn, or in a line."""
        figures = f"loss {metrics['train_loss']:.4f}, accuracy {metrics['train_accuracy']:.2%}"
        if "validation_accuracy" in metrics:
            figures += f", validation {metrics['validation_accuracy']:.2%}"
        self._figures = f"; last {figures}"
        if not is_drawn():
            seconds = (time.monotonic() - self._started) / (trainer.steps_done - self._begun)
            left = duration(seconds * (self._total - trainer.steps_done))
            speed = f"{metrics['images_per_second']:,.0f} images/s"
            say_line(f"{self._where(trainer)}: {figures}, {speed}, {left} left")

    def on_train_end(self, trainer: TrainingState) -> None:
        """Close the bar."""
        self._shown.close()

    def on_exception(self, trainer: TrainingState, error: BaseException) -> None:
        """Close the bar; say what an interruption leaves."""
        self._shown.close()
        if isinstance(error, KeyboardInterrupt) and trainer.folder.kept:
            epoch = len(trainer.metrics) + 1
            _LOG.warning(
                "%s: stopped in epoch %d of %d; training in the same folder goes on from it",
                trainer.folder.path,
                epoch,
                self._epochs,
            )

    def _where(self, trainer: TrainingState) -> str:
        epoch = min(len(trainer.metrics) + 1, self._epochs)
        phases = len(trainer.schedules)
        phase = f" (phase {trainer.stage.number + 1} of {phases})" if phases > 1 else ""
        return f"epoch {epoch} of {self._epochs}{phase}"

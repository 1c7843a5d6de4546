"""Checkpoints within an epoch, for epochs that take long."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from winninghand.training.callbacks import Checkpoint, Meter, is_finite
from winninghand.training.run_folder import EpochMetrics
from winninghand.training.schedule import TrainingState

_STEPS_BETWEEN_CLOCKS = 10


class CheckpointWithin(Checkpoint):
    """Keeps a checkpoint within an epoch, too, where the last is so many minutes old."""

    def __init__(self, meter: Meter, minutes: float) -> None:
        self._meter = meter
        self._seconds = 60 * minutes
        self._last = time.monotonic()

    def on_step_end(self, trainer: TrainingState, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Write a checkpoint where it is time, unless the network has diverged."""
        alone = trainer.processes.size == 1
        # Processes have to agree, which waits for the device.
        if not alone and trainer.steps_done % _STEPS_BETWEEN_CLOCKS:
            return
        due = time.monotonic() - self._last >= self._seconds
        early = torch.tensor(0 if due else 1, device=trainer.fabric.device)
        if (not due if alone else bool(trainer.processes.least(early))) or not is_finite(trainer):
            return
        before = sum(map(len, trainer.schedules[: trainer.stage.number]))
        schedule = trainer.stage.schedule
        steps = schedule.first + trainer.steps_done - before - schedule.after(trainer.epoch)
        if steps < schedule.per_epoch:  # the end of the epoch has a checkpoint of its own
            begun = {"steps": steps, "random": torch.get_rng_state(), **self._meter.state_dict(trainer)}
            state = {**trainer.state_dict(), "epoch": trainer.epoch, "begun": begun, "rows": trainer.metrics}
            trainer.folder.save_checkpoint(state)
            self._last = time.monotonic()

    def on_epoch_end(self, trainer: TrainingState, metrics: EpochMetrics) -> None:
        """Write both files, the checkpoint last."""
        super().on_epoch_end(trainer, metrics)
        self._last = time.monotonic()

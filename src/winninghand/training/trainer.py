"""The loop: phases of epochs of steps, with a checkpoint after each epoch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from winninghand.augmentation import Domain
from winninghand.base.errors import InputError
from winninghand.base.pixels import to_unit
from winninghand.base.progress import ProgressCallback, progress_bar
from winninghand.cards import Normalisation
from winninghand.compression import Masks, Phase
from winninghand.recipe import Training
from winninghand.training.average import WeightAverage
from winninghand.training.batches import Batches
from winninghand.training.meter import Meter
from winninghand.training.run_folder import Row, RunFolder
from winninghand.training.schedule import Schedule
from winninghand.training.seeds import generator_of, seed_of


@dataclass(frozen=True)
class _Stage:
    """A phase under way: its number and steps, the network as the device runs it, its optimizer."""

    number: int
    schedule: Schedule
    model: nn.Module
    optimizer: torch.optim.Optimizer


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
    batches: Batches
    validation: Batches | None
    settings: Training
    seed: int
    fabric: Fabric
    folder: RunFolder
    rows: list[Row] = field(default_factory=list)
    _average: WeightAverage | None = field(default=None, init=False)

    def run(self, phases: Sequence[Phase]) -> None:
        """Train through all phases, going on from the folder's checkpoint where there is one."""
        schedules = [self._schedule(phase) for phase in phases]
        state = self.folder.load_checkpoint(self.fabric.device)
        begun = 0 if state is None else self._restore(state)
        steps = [schedule.end - schedule.first for schedule in schedules]
        done = sum(steps[:begun])
        if state is not None:
            done += schedules[begun].after(state["epoch"]) - schedules[begun].first
        cuda = [self.fabric.device] if self.fabric.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=cuda),
            progress_bar(
                "training", sum(steps) * self.batches.batch_size, done=done * self.batches.batch_size
            ) as progress,
        ):
            for number in range(begun, len(phases)):
                # Earlier phases only lead to where the last begins.
                averaged = self.settings.average > 0 and number == len(phases) - 1
                stage = self._stage(number, schedules[number])
                self._phase(stage, state if number == begun else None, averaged, progress)
        if self._average is not None:
            self._average.to_network()
            self.masks.apply()
        self.masks.finish()

    def seconds_per_step(self, phase: Phase, steps: int = 3) -> float:
        """Return how long a step takes, the mean of a few after the first; they change the network."""
        stage = self._stage(0, self._schedule(phase))
        self.masks.begin(phase, stage.schedule.end, stage.schedule.first)
        stage.model.train()
        batches = itertools.cycle(self.batches.epoch(self.seed, "timing"))
        started = time.perf_counter()
        for step in range(steps + 1):
            loss, _ = self._step(stage, *next(batches), generator_of(self.fabric.device, step))
            loss.item()  # waits for the device
            started = started if step else time.perf_counter()
        return (time.perf_counter() - started) / steps

    def _schedule(self, phase: Phase) -> Schedule:
        return Schedule(phase, len(self.batches), self.settings)

    def _stage(self, number: int, schedule: Schedule) -> _Stage:
        optimizer = torch.optim.SGD(
            [weight for weight in self.network.parameters() if weight.requires_grad],
            lr=self.settings.learning_rate,
            momentum=self.settings.momentum,
            nesterov=self.settings.momentum > 0,
            weight_decay=self.settings.weight_decay,
        )
        module = cast(nn.Module, torch.compile(self.network)) if self.settings.compiled else self.network
        return _Stage(number, schedule, *self.fabric.setup(module, optimizer))

    def _phase(
        self, stage: _Stage, state: dict[str, Any] | None, averaged: bool, progress: ProgressCallback
    ) -> None:
        """Train through a phase, going on from the checkpoint `state` of its own where there is one."""
        schedule = stage.schedule
        first = schedule.after(None if state is None else state["epoch"])
        self.masks.begin(schedule.phase, schedule.end, first, resumed=state is not None)
        if state is not None:
            stage.optimizer.load_state_dict(state["optimizer"])
        elif schedule.phase.rewound:
            self.network.load_state_dict(self.folder.load_rewind(self.fabric.device))
            self.masks.apply()
        if averaged:
            self._average = WeightAverage(self.network, self.settings.average)
            if state is not None:
                self._average.load_state_dict(state["average"])
        for epoch in range(first // len(self.batches), schedule.phase.epochs):
            row: Row = {"phase": stage.number, "epoch": epoch}
            row |= self._epoch(stage, epoch, progress)
            row |= self.masks.end_epoch()
            if self.validation is not None:
                with self._as_shipped():
                    row["validation_accuracy"] = self._accuracy(stage.model, self.validation)
            self.rows.append(row)
            self.folder.write_metrics(self.rows)
            self.folder.save_checkpoint(self._state(stage, epoch + 1))

    def _epoch(self, stage: _Stage, epoch: int, progress: ProgressCallback) -> Row:
        stage.model.train()
        # Dropout and the like in a caller's network draw from torch's own generator.
        torch.manual_seed(seed_of(self.seed, stage.number, epoch, "network"))
        meter = Meter(self.fabric.device)
        schedule = stage.schedule
        for step, (images, labels) in enumerate(self.batches.epoch(self.seed, stage.number, epoch)):
            position = schedule.after(epoch) + step
            if position < schedule.first:
                continue
            if position == schedule.remembered:
                self.folder.save_rewind(self.network.state_dict())
            rate = schedule.learning_rate(position)
            for group in stage.optimizer.param_groups:
                group["lr"] = rate
            generator = generator_of(self.fabric.device, self.seed, stage.number, epoch, step)
            loss, logits = self._step(stage, images, labels, generator)
            meter.add(loss, logits, labels)
            if meter.due:
                self._check(stage, epoch, meter)
            progress(len(labels), f"phase {stage.number + 1}, epoch {epoch + 1}")
        self._check(stage, epoch, meter, ended=True)
        return {"learning_rate": rate, **meter.row()}

    def _step(
        self, stage: _Stage, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Take one step; return the loss, and the logits (B, classes) of the first view."""
        views = self.normalisation(self.domain.views(images, generator))
        logits = stage.model(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        loss = self.domain.loss(logits, labels, self.settings.label_smoothing)
        stage.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        stage.optimizer.step()
        self.masks.after_step()
        if self._average is not None:
            self._average.after_step()
        return loss, logits[0]

    def _check(self, stage: _Stage, epoch: int, meter: Meter, ended: bool = False) -> None:
        """Stop where the loss, or at the end of an epoch a weight, is no longer finite."""
        step = meter.first_bad_step
        if step is None and ended and not self._is_finite():
            step = meter.steps - 1
        if step is None:
            return
        # The meter does not see the steps before the one at which a phase begins within an epoch.
        step += max(0, stage.schedule.first - stage.schedule.after(epoch))
        rate = stage.schedule.learning_rate(stage.schedule.after(epoch) + step)
        raise InputError(
            f"the training diverged at step {step + 1} of epoch {epoch + 1} of phase {stage.number + 1}, "
            f"at learning rate {rate:.3g}; lower training.learning_rate and use a new folder "
            f"({self._last_good()})"
        )

    def _is_finite(self) -> bool:
        sums = torch.stack([weight.detach().float().sum() for weight in self.network.parameters()])
        return bool(sums.isfinite().all())

    def _last_good(self) -> str:
        if not self.rows:
            return "there is no checkpoint yet"
        row = self.rows[-1]
        where = f"phase {row['phase'] + 1}, epoch {row['epoch'] + 1}"
        return f"the last good checkpoint is {self.folder.checkpoint}, after {where}"

    @contextmanager
    def _as_shipped(self) -> Iterator[None]:
        """Have the network for a while as it would be if the training ended here."""
        if self._average is None:
            yield
            return
        with self._average.in_place():
            self.masks.apply()
            yield
        self.masks.apply()

    @torch.inference_mode()
    def _accuracy(self, model: nn.Module, batches: Batches) -> float:
        model.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.fabric.device)
        for images, labels in batches.in_order():
            correct += (model(self.normalisation(to_unit(images))).argmax(dim=1) == labels).sum()
        return int(correct) / len(batches.labels)

    def _state(self, stage: _Stage, epoch: int) -> dict[str, Any]:
        return {
            "phase": stage.number,
            "epoch": epoch,
            "network": self.network.state_dict(),
            "optimizer": stage.optimizer.state_dict(),
            "masks": self.masks.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "rows": self.rows,
        }

    def _restore(self, state: dict[str, Any]) -> int:
        """Take up a checkpoint; return the number of the phase it lies in."""
        self.network.load_state_dict(state["network"])
        self.masks.load_state_dict(state["masks"])
        self.rows = state["rows"]
        phase: int = state["phase"]
        return phase

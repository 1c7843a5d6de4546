"""The loop: phases of epochs of steps, with a checkpoint after each epoch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from winninghand.augmentation import Domain
from winninghand.augmentation.pixels import to_unit
from winninghand.cards.normalisation import Normalisation
from winninghand.compression import Masks, Phase
from winninghand.errors import InputError
from winninghand.progress import Advance, progress
from winninghand.recipe import Training
from winninghand.training.batches import Batches
from winninghand.training.meter import Meter
from winninghand.training.run_folder import Row, RunFolder
from winninghand.training.schedule import learning_rate
from winninghand.training.seeds import generator_of, seed_of


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
    held_out: Batches | None
    settings: Training
    seed: int
    fabric: Fabric
    folder: RunFolder
    rows: list[Row] = field(default_factory=list)

    def run(self, phases: Sequence[Phase]) -> None:
        """Train through all phases, going on from the folder's checkpoint where there is one."""
        state = self.folder.load_checkpoint(self.fabric.device)
        phase, epoch = (0, None) if state is None else self._restore(state)
        steps = [self._last(one) - self._first(one) for one in phases]
        done = sum(steps[:phase]) + (
            0 if epoch is None else epoch * len(self.batches) - self._first(phases[phase])
        )
        cuda = [self.fabric.device] if self.fabric.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=cuda),
            progress(
                "training", sum(steps) * self.batches.batch_size, done=done * self.batches.batch_size
            ) as advance,
        ):
            for number in range(phase, len(phases)):
                momenta = state["optimizer"] if state is not None and number == phase else None
                self._phase(number, phases[number], epoch if number == phase else None, momenta, advance)
        self.masks.finish()

    def seconds_per_step(self, phase: Phase, steps: int = 3) -> float:
        """Return how long a step takes, the mean of a few after the first; they change the network."""
        self.masks.begin(phase, self._last(phase), self._first(phase))
        model, optimizer = self.fabric.setup(self.network, self._optimizer())
        model.train()
        batches = itertools.cycle(self.batches.epoch(self.seed, "timing"))
        started = time.perf_counter()
        for step in range(steps + 1):
            loss, _ = self._step(model, optimizer, *next(batches), generator_of(self.fabric.device, step))
            loss.item()  # waits for the device
            started = started if step else time.perf_counter()
        return (time.perf_counter() - started) / steps

    def _first(self, phase: Phase) -> int:
        """Return the step of its schedule at which a phase begins."""
        return int(phase.begin * len(self.batches))

    def _last(self, phase: Phase) -> int:
        return phase.epochs * len(self.batches)

    def _phase(
        self, number: int, phase: Phase, done: int | None, momenta: dict[str, Any] | None, advance: Advance
    ) -> None:
        """Train through a phase of which `done` epochs are done, None where it has not begun."""
        model, optimizer = self.fabric.setup(self.network, self._optimizer())
        if momenta is not None:
            optimizer.load_state_dict(momenta)
        first = self._first(phase) if done is None else done * len(self.batches)
        self.masks.begin(phase, self._last(phase), first, resumed=done is not None)
        if phase.rewound and done is None:
            self.network.load_state_dict(self.folder.load_rewind(self.fabric.device))
            self.masks.apply()
        for epoch in range(first // len(self.batches), phase.epochs):
            row: Row = {"phase": number, "epoch": epoch}
            row |= self._epoch(number, epoch, phase, model, optimizer, advance)
            row |= self.masks.end_epoch()
            if self.held_out is not None:
                row["held_out_accuracy"] = self._accuracy(model, self.held_out)
            self.rows.append(row)
            self.folder.write_metrics(self.rows)
            self.folder.save_checkpoint(self._state(number, epoch + 1, optimizer))

    def _epoch(
        self,
        number: int,
        epoch: int,
        phase: Phase,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        advance: Advance,
    ) -> Row:
        model.train()
        # Dropout and the like in a caller's network draw from torch's own generator.
        torch.manual_seed(seed_of(self.seed, number, epoch, "network"))
        meter = Meter(self.fabric.device)
        remembered = None if phase.remember is None else int(phase.remember * len(self.batches))
        for step, (images, labels) in enumerate(self.batches.epoch(self.seed, number, epoch)):
            position = epoch * len(self.batches) + step
            if position < self._first(phase):
                continue
            if position == remembered:
                self.folder.save_rewind(self.network.state_dict())
            rate = learning_rate(phase, position, self._last(phase), self.settings)
            for group in optimizer.param_groups:
                group["lr"] = rate
            generator = generator_of(self.fabric.device, self.seed, number, epoch, step)
            loss, logits = self._step(model, optimizer, images, labels, generator)
            meter.add(loss, logits, labels)
            if meter.due:
                self._check(meter, number, epoch, phase)
            advance(len(labels), f"phase {number + 1}, epoch {epoch + 1}")
        self._check(meter, number, epoch, phase, ended=True)
        return {"learning_rate": rate, **meter.row()}

    def _step(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        images: Tensor,
        labels: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Take one step; return the loss, and the logits (B, classes) of the first view."""
        views = self.normalisation(self.domain.views(images, generator))
        logits = model(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        loss = self.domain.loss(logits, labels, self.settings.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        optimizer.step()
        self.masks.after_step()
        return loss, logits[0]

    def _check(self, meter: Meter, number: int, epoch: int, phase: Phase, ended: bool = False) -> None:
        """Stop where the loss, or at the end of an epoch a weight, is no longer finite."""
        step = meter.first_bad_step
        if step is None and ended and not self._is_finite():
            step = meter.steps - 1
        if step is None:
            return
        # The meter does not see the steps before the one at which a phase begins within an epoch.
        step += max(0, self._first(phase) - epoch * len(self.batches))
        rate = learning_rate(phase, epoch * len(self.batches) + step, self._last(phase), self.settings)
        raise InputError(
            f"the training diverged at step {step + 1} of epoch {epoch + 1} of phase {number + 1}, "
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

    @torch.inference_mode()
    def _accuracy(self, model: nn.Module, batches: Batches) -> float:
        model.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.fabric.device)
        for images, labels in batches.in_order():
            correct += (model(self.normalisation(to_unit(images))).argmax(dim=1) == labels).sum()
        return int(correct) / len(batches.labels)

    def _optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            [weight for weight in self.network.parameters() if weight.requires_grad],
            lr=self.settings.learning_rate,
            momentum=self.settings.momentum,
            nesterov=self.settings.momentum > 0,
            weight_decay=self.settings.weight_decay,
        )

    def _state(self, phase: int, epoch: int, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        return {
            "phase": phase,
            "epoch": epoch,
            "network": self.network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "masks": self.masks.state_dict(),
            "rows": self.rows,
        }

    def _restore(self, state: dict[str, Any]) -> tuple[int, int]:
        """Take up a checkpoint; return the phase it lies in and how many of its epochs are done."""
        self.network.load_state_dict(state["network"])
        self.masks.load_state_dict(state["masks"])
        self.rows = state["rows"]
        return state["phase"], state["epoch"]

"""The loop: phases of epochs of steps, with a checkpoint after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from winninghand.augmentation import Domain
from winninghand.augmentation.pixels import to_unit
from winninghand.cards.normalisation import Normalisation
from winninghand.compression import Masks, Phase
from winninghand.progress import Advance, progress
from winninghand.recipe import Training
from winninghand.training.batches import Batches
from winninghand.training.meter import Meter
from winninghand.training.run_folder import Row, RunFolder
from winninghand.training.schedule import cosine_with_warmup
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
        phase, epoch = (0, 0) if state is None else self._restore(state)
        images = len(self.batches) * self.batches.batch_size
        done = sum(earlier.epochs for earlier in phases[:phase]) + epoch
        total = sum(one.epochs for one in phases)
        cuda = [self.fabric.device] if self.fabric.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=cuda),
            progress("training", total * images, done=done * images) as advance,
        ):
            for number in range(phase, len(phases)):
                momenta = state["optimizer"] if state is not None and number == phase else None
                self._phase(number, phases[number], epoch if number == phase else 0, momenta, advance)

    def _phase(
        self, number: int, phase: Phase, first_epoch: int, momenta: dict[str, Any] | None, advance: Advance
    ) -> None:
        model, optimizer = self.fabric.setup(self.network, self._optimizer())
        if momenta is not None:
            optimizer.load_state_dict(momenta)
        if first_epoch == 0:
            self.masks.prune_to(phase.sparsity)
        for epoch in range(first_epoch, phase.epochs):
            row: Row = {"phase": number, "epoch": epoch, "sparsity": self.masks.sparsity}
            row |= self._epoch(number, epoch, phase.epochs, model, optimizer, advance)
            if self.held_out is not None:
                row["held_out_accuracy"] = self._accuracy(model, self.held_out)
            self.rows.append(row)
            self.folder.write_metrics(self.rows)
            self.folder.save_checkpoint(self._state(number, epoch + 1, optimizer))

    def _epoch(
        self,
        phase: int,
        epoch: int,
        epochs: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        advance: Advance,
    ) -> Row:
        model.train()
        # Dropout and the like in a caller's network draw from torch's own generator.
        torch.manual_seed(seed_of(self.seed, phase, epoch, "network"))
        meter = Meter(self.fabric.device)
        for step, (images, labels) in enumerate(self.batches.epoch(self.seed, phase, epoch)):
            rate = cosine_with_warmup(
                epoch * len(self.batches) + step,
                epochs * len(self.batches),
                self.settings.learning_rate,
                self.settings.warmup,
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            generator = generator_of(self.fabric.device, self.seed, phase, epoch, step)
            views = self.normalisation(self.domain.views(images, generator))
            logits = model(views.flatten(0, 1)).unflatten(0, views.shape[:2])
            loss = self.domain.loss(logits, labels, self.settings.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            self.fabric.backward(loss)
            optimizer.step()
            self.masks.apply()
            meter.add(loss, logits[0], labels)
            advance(len(labels), f"phase {phase + 1}, epoch {epoch + 1}")
        return {"learning_rate": rate, **meter.row()}

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

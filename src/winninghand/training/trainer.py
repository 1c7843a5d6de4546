"""The loop: phases of epochs of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from winninghand.base.randomness import seed_of
from winninghand.compression.masks import Batch
from winninghand.training.average import WeightAverage
from winninghand.training.callbacks import Callback
from winninghand.training.data import WHOLE, generator_of
from winninghand.training.run_folder import EpochMetrics
from winninghand.training.schedule import Schedule, Stage, TrainingState
from winninghand.training.weight_gradients import SmallPlanes


@dataclass
class Trainer(TrainingState):
    """Trains one network, on its device, through phases.

    All randomness of a step comes from (seed, phase, epoch, step), so that a run resumed from
    the checkpoint of an epoch goes on as if it had never stopped.
    """

    callbacks: Sequence[Callback] = ()

    def __post_init__(self) -> None:
        self.schedules = [Schedule(phase, len(self.batches), self.settings) for phase in self.phases]
        # A step calls only those who override the hook.
        watching = [one for one in self.callbacks if type(one).on_step_end is not Callback.on_step_end]
        self._after_step = [one.on_step_end for one in watching]
        self.masks.examples = self.examples
        if self.processes.size > 1:
            self.masks.mean = self.processes.mean
            self.masks.freeze()
        synchronised = self.settings.synchronised_norms
        self._norms = self.processes.synchronised_norms if synchronised else nullcontext

    def run(self, one_phase: bool = False) -> bool:
        """Train through all phases, going on from the folder's checkpoint where there is one.

        With `one_phase` it ends with the first phase of which anything is left. Returns whether none is left.
        """
        state = self.folder.load_checkpoint(self.fabric.device)
        begun = 0 if state is None else self._restore(state)
        numbers = range(begun, len(self.phases))
        if one_phase:
            left = state is None or state["epoch"] < self.phases[begun].epochs
            numbers = numbers[: 1 if left else 2]
        cuda = [self.fabric.device] if self.fabric.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            try:
                self.call("on_train_start")
                for number in numbers:
                    self._phase(number, state if number == begun else None)
            except BaseException as error:
                self.call("on_exception", error)
                raise
        ended = numbers[-1] == len(self.phases) - 1
        if ended:
            if self.average is not None:
                self.average.to_network()
                self.masks.apply()
            self.masks.finish()
        self.call("on_train_end")
        return ended

    def call(self, hook: str, *arguments: Any) -> None:  # noqa: ANN401 (each hook has its own)
        """Call a hook of all callbacks, in their order."""
        for watcher in self.callbacks:
            getattr(watcher, hook)(self, *arguments)

    def enter(self, number: int) -> None:
        """Make a phase the present one, with an optimizer of its own."""
        schedule = self.schedules[number]
        optimizer = schedule.optimizer(self.network)
        self.masks.optimizers = (optimizer,)
        self.stage = Stage(number, schedule, *self.fabric.setup(self._module(), optimizer))

    def examples(self, per_class: int) -> Iterator[Batch]:
        """Yield batches of up to so many training images of each class, as the network sees them, and labels.

        They are the first view of the domain, the same at every call.
        """
        for number, (images, labels) in enumerate(self.batches.sample(per_class, self.seed)):
            generator = generator_of(self.fabric.device, self.seed, "examples", number)
            yield self.seen(self.domain.views(images, generator)[0]), labels

    def step(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Take one step on a batch; return the loss, and the logits (B, classes) of the first view.

        Of several processes each takes its part of the batch, and returns that part's.
        """
        # All processes draw the whole batch's views, and see their own: so each sees what one alone would.
        part = self.processes.part(len(labels))
        views, labels = self.seen(self.domain.views(images, generator)[:, part]), labels[part]
        # A compiled network is traced: nothing may stand between.
        with nullcontext() if self.settings.compiled else SmallPlanes(), self._norms():
            logits = self.stage.model(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        loss = self.domain.loss(logits, labels, self.settings.label_smoothing)
        if views.shape[1] * self.processes.size != len(images):
            loss = loss * self.processes.share(len(images))  # gradients are averaged over processes
        self.stage.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.stage.optimizer.step()
        self.masks.after_step()
        if self.average is not None:
            self.average.after_step()
        return loss, logits[0]

    def _module(self) -> nn.Module:
        """Return the network, compiled where the recipe says so."""
        if not self.settings.compiled:
            return self.network
        # By itself the compiler would lay out every convolution of a CPU channels-last.
        options: dict[str, Any] | None = None if self.channels_last else {"layout_optimization": False}
        return cast(nn.Module, torch.compile(self.network, options=options))

    def _restore(self, state: dict[str, Any]) -> int:
        """Take up a checkpoint; return the number of the phase it lies in."""
        self.network.load_state_dict(state["network"])
        self.masks.load_state_dict(state["masks"])
        self.metrics = state["rows"]
        number: int = state["phase"]
        before, schedule = self.schedules[:number], self.schedules[number]
        self.begun = state.get("begun")
        self.steps_done = sum(map(len, before)) + schedule.after(state["epoch"]) - schedule.first
        self.steps_done += 0 if self.begun is None else self.begun["steps"]
        return number

    def _phase(self, number: int, state: dict[str, Any] | None) -> None:
        """Train through a phase, going on from the checkpoint `state` of its own where there is one."""
        self.enter(number)
        schedule, phase = self.stage.schedule, self.stage.schedule.phase
        first = schedule.after(None if state is None else state["epoch"])
        first += 0 if self.begun is None else self.begun["steps"]
        self._entered = first
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
        self._agree()
        self.call("on_phase_start")
        for epoch in range(first // len(self.batches), phase.epochs):
            self._epoch(number, epoch, schedule)

    def _agree(self) -> None:
        """Have the same network in all processes; raise `InputError` where they prune otherwise."""
        if self.processes.size == 1:
            return
        self.processes.check_same("the masks", self.masks.unsynchronised())
        if not self.settings.synchronised_norms:
            statistics = [buffer for buffer in self.network.buffers() if buffer.is_floating_point()]
            averages = [] if self.average is None else self.average.statistics
            self.processes.average([*statistics, *averages])

    def _epoch(self, number: int, epoch: int, schedule: Schedule) -> None:
        self.epoch = epoch
        self.stage.model.train()
        # Dropout and the like in a caller's network draw from torch's own generator.
        apart = [self.processes.rank] if self.processes.rank else []
        torch.manual_seed(seed_of(self.seed, number, epoch, "network", *apart))
        self.call("on_epoch_start")
        if self.begun is not None and self.processes.rank == 0:
            torch.set_rng_state(self.begun["random"].cpu())
        self.begun = None
        done = max(0, self._entered - schedule.after(epoch))
        part = WHOLE if self.domain.mixes else self.processes.part(self.batches.batch_size)
        batches = self.batches.epoch(self.seed, number, epoch, first=done, part=part)
        for step, (images, labels) in enumerate(batches, start=done):
            position = schedule.after(epoch) + step
            if position == schedule.remembered:
                self.folder.save_rewind(self.network.state_dict())
            for group in self.stage.optimizer.param_groups:
                group["lr"] = schedule.learning_rate(position)
            generator = generator_of(self.fabric.device, self.seed, number, epoch, step)
            loss, logits = self.step(images, labels, generator)
            self.steps_done += 1
            for hook in self._after_step:
                hook(self, loss, logits, labels[self.processes.part(len(labels))])
        self._agree()
        metrics: EpochMetrics = {"phase": number, "epoch": epoch}
        self.call("on_epoch_end", metrics)
        self.metrics.append(metrics)

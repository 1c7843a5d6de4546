"""One run: a network and an image set in, a card out; long, for all that a card takes along."""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from winninghand.augmentation import Domain, make_domain
from winninghand.base.device import (
    device_of,
    images_at_once,
    make_fabric,
    resolve_device,
    resolve_precision,
)
from winninghand.base.errors import InputError, counted
from winninghand.base.launch import are_several
from winninghand.base.locks import tidy
from winninghand.base.randomness import seed_of
from winninghand.base.version import __version__
from winninghand.cards import Card, CardMetadata, Normalisation, architecture_metadata
from winninghand.compression import Compressor, Phase
from winninghand.decks import load_card
from winninghand.evaluation import accuracy
from winninghand.images import ImageSet, Split
from winninghand.images.preparation import DRAWN
from winninghand.networks import copied, takes_channels_last
from winninghand.recipe import Recipe
from winninghand.training.batches import batches_of
from winninghand.training.callbacks import (
    Alive,
    Callback,
    Checkpoint,
    DivergedError,
    Meter,
    Progress,
    Validation,
    check_watchers,
)
from winninghand.training.data import (
    Batches,
    Triple,
    channel_statistics,
    generator_of,
    training_profile,
)
from winninghand.training.identity import environment, identity, whole
from winninghand.training.loggers import Loggers
from winninghand.training.processes import ALONE, Alone
from winninghand.training.run_folder import RunFolder
from winninghand.training.schedule import Forecast
from winninghand.training.trainer import Trainer

if TYPE_CHECKING:
    from lightning_fabric.loggers.logger import Logger

_SMALL = 64 * 64


@dataclass(frozen=True)
class Run:
    """A network to be trained under a recipe on an image set; the network itself is left as it is.

    `trained` says that the network arrives with weights worth keeping; `origin` tells them from
    other weights. `exclude` names modules and weights that are not pruned. `normalisation` is the
    mean and the standard deviation that the network expects, measured on the training images
    where it is None. `costs` are picoseconds per weight by layer that were measured before. `processes` are
    those that train it together: where `torchrun` or `winninghand train --devices` began them, `train` joins
    them. Raises `InputError` where recipe, network and images do not fit.
    """

    recipe: Recipe
    images: ImageSet
    network: nn.Module
    trained: bool = False
    origin: str = ""
    exclude: Collection[str] = ()
    normalisation: tuple[Triple, Triple] | None = None
    costs: Mapping[str, int] | None = None
    processes: Alone = ALONE

    @cached_property
    def phases(self) -> Sequence[Phase]:
        """The phases that the run goes through."""
        return self._compressor(self.network).phases(self.recipe.training.epochs)

    def train(
        self,
        out: Path | str | None,
        device: torch.device | str | None = None,
        callbacks: Sequence[Callback] = (),
        loggers: Sequence[Logger] = (),
        wait: bool = True,
    ) -> Card:
        """Train, or go on training, in the folder `out`, and return the card, which is left there too.

        Without `out` nothing is kept. A run that is finished already gives its card at once. The
        other arguments are as in `wh.train`.
        """
        check_watchers(callbacks, loggers)
        if not isinstance(out, str | Path | None):
            raise InputError(f"out must be a path, not {type(out).__name__}")
        if are_several() and self.processes is ALONE:
            return self._train_with_others(out, device, callbacks, loggers, wait)
        device = resolve_device(device)
        with tempfile.TemporaryDirectory() if out is None else nullcontext(out) as path:
            folder = self.folder(path, kept=out is not None)
            # What cannot be is refused before a folder is made.
            self._at_costs_of(folder).phases  # noqa: B018
            card = folder.finished()
            if card is not None:
                return self._finished(card)
            self._parts  # noqa: B018
            with folder.lock(wait):
                self.folder(path)
                card = folder.finished()
                if card is not None:  # by now: another process had the lock
                    return self._finished(card)
                # A caller may be within `torch.no_grad` or `torch.inference_mode`.
                with torch.inference_mode(False), torch.enable_grad():
                    return self._at_costs_of(folder)._train(folder, device, callbacks, loggers)

    def advance(self, out: Path | str, one_phase: bool = False) -> bool:
        """Train, or go on training, in the folder `out`, and make no card: others go on from the checkpoint.

        With `one_phase` it ends where the phase that it is in does. Returns whether no phase is left.
        """
        device = resolve_device(None)
        folder = self.folder(out)
        self._at_costs_of(folder).phases  # noqa: B018
        self._parts  # noqa: B018
        with folder.lock(), torch.inference_mode(False), torch.enable_grad():
            self.folder(out)
            run = self._at_costs_of(folder)
            return run._begun(folder, device, (), ()).run(one_phase)

    def check(self, out: Path | str, device: torch.device | str | None = None) -> None:
        """Raise `InputError` where the run cannot be on a device or in a folder; nothing is made."""
        resolve_device(device)
        self._at_costs_of(self.folder(out)).phases  # noqa: B018
        self._parts  # noqa: B018

    def folder(self, path: Path | str, kept: bool = True) -> RunFolder:
        """Return the folder at `path` as this run's; `InputError` where it holds another run."""
        folder = self.processes.folder(path, kept)
        folder.check(self._identity, self.images)
        return folder

    def extend(self, folder: RunFolder, parent: RunFolder) -> None:
        """Let this run begin, in `folder`, where the run in `parent` ended: see `RunFolder.extend`."""
        folder.extend(parent, self._identity)

    def forecast(self, device: torch.device | str | None = None) -> Forecast:
        """Return the plan of the run, and the time of a step: the mean of a few on a copy of the network."""
        with tempfile.TemporaryDirectory() as path:
            trainer = self._trainer(RunFolder(path), device, (), ())
            trainer.enter(0)
            schedule = trainer.stage.schedule
            trainer.masks.begin(schedule.phase, schedule.end, schedule.first)
            trainer.stage.model.train()
            batches = itertools.cycle(trainer.batches.epoch(self.recipe.seed, "timing"))
            steps, started = 3, 0.0
            for step in range(steps + 1):
                loss, _ = trainer.step(*next(batches), generator_of(trainer.fabric.device, step))
                loss.item()  # waits for the device
                started = started if step else time.perf_counter()
            seconds = (time.perf_counter() - started) / steps
            return Forecast(tuple(schedule.described() for schedule in trainer.schedules), seconds)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return identity(self.recipe, self.images, self.origin, self.exclude, self.normalisation, self.trained)

    @cached_property
    def _domain(self) -> Domain:
        return make_domain(self.recipe.domain)

    @cached_property
    def _parts(self) -> tuple[Split, Split | None]:
        """The training images divided into those to learn from and those to choose by.

        The same for every seed, so that a deck of any cards can be fitted on images unseen by all.
        """
        split, fraction = self.images.train, self.recipe.training.validation
        if fraction == 0:
            return split, None
        rest, validation = split.validation(fraction)
        return split.take(rest), split.take(validation)

    def _prepared(self) -> dict[str, Any]:
        """Return how the images were brought to their size and divided, so that others can be, too."""
        origin = self.images.origin
        table = (self.recipe.images if origin is None else origin.preparation).model_dump(mode="json")
        # By it one sees later whether drawn test images are still the same.
        return {**table, DRAWN: self.images.test.digest} if origin is not None and origin.drawn else table

    @cached_property
    def _moments(self) -> tuple[Triple, Triple]:
        """Mean and standard deviation that the network expects."""
        return self.normalisation or channel_statistics(self._parts[0])

    def _compressor(self, network: nn.Module) -> Compressor:
        return Compressor(
            network,
            self.recipe.compression,
            self.trained,
            self.exclude,
            self.images.train.size,
            len(self.images.classes),
            fine_tuned=self.trained or self.recipe.network.get("pretrained") is True,
            costs=self._costs,
        )

    @cached_property
    def _costs(self) -> Mapping[str, int] | None:
        """What weights cost, where the recipe leaves that to a measurement: made now, unless before."""
        if self.costs is not None or not self.recipe.compression.measures_costs:
            return self.costs
        from winninghand.engine.costs import measure_costs

        return measure_costs(self.network, self.images.train.size)

    def _at_costs_of(self, folder: RunFolder) -> Run:
        """Return this run with the costs that it began with in a folder, where these were measured."""
        stored = folder.load_costs() if self.recipe.compression.measures_costs else None
        return self if stored in (None, self.costs) else replace(self, costs=stored)

    def _train_with_others(
        self,
        out: Path | str | None,
        device: torch.device | str | None,
        callbacks: Sequence[Callback],
        loggers: Sequence[Logger],
        wait: bool,
    ) -> Card:
        """Train as one of several processes, all of which call this; return the card in each."""
        from winninghand.training.several import join, losing_none

        training = self.recipe.training
        norms = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.network.modules())
        if training.compiled and training.synchronised_norms and norms:
            raise InputError(
                "batch-norms of a compiled network cannot be synchronised between processes; set "
                "training.compiled or training.synchronised_norms to false"
            )
        processes = join(training.precision, device)
        with losing_none():
            processes.check_identity(self._identity, out)
            if training.batch_size < processes.size:
                raise InputError(
                    f"a batch of {counted(training.batch_size, 'image')} has no part for each of "
                    f"{processes.size} processes; set a larger training.batch_size"
                )
            run = replace(self, processes=processes)
            if self.recipe.compression.measures_costs:
                run = replace(run, costs=processes.first(lambda: self._costs))
            mine = loggers if processes.rank == 0 else ()
            return run.train(out, processes.fabric.device, callbacks, mine, wait)

    def _finished(self, card: Path) -> Card:
        tidy(card.parent)
        return load_card(card, network=copied(self.network))

    def _train(
        self,
        folder: RunFolder,
        device: torch.device | str | None,
        callbacks: Sequence[Callback],
        loggers: Sequence[Logger],
    ) -> Card:
        trainer = self._begun(folder, device, callbacks, loggers)
        trainer.run()
        card = self._card(trainer)
        trainer.call("on_card", card)
        folder.save_card(card)
        return card

    def _begun(
        self,
        folder: RunFolder,
        device: torch.device | str | None,
        callbacks: Sequence[Callback],
        loggers: Sequence[Logger],
    ) -> Trainer:
        """Return a trainer in a folder that has room for it, and knows which run this is."""
        trainer = self._trainer(folder, device, callbacks, loggers)
        precision = resolve_precision(self.recipe.training.precision, trainer.fabric.device)
        folder.check_room(trainer.checkpoint_bytes)
        ran_on = environment(trainer.fabric.device, precision, self.recipe.network["name"])
        folder.begin(self._identity, ran_on)
        if self._costs is not None:
            folder.save_costs(self._costs)
        return trainer

    def _trainer(
        self,
        folder: RunFolder,
        device: torch.device | str | None,
        callbacks: Sequence[Callback],
        loggers: Sequence[Logger],
    ) -> Trainer:
        """Return a trainer of a copy of the network, on the device."""
        recipe, (fitting, choosing) = self.recipe, self._parts
        fabric = self.processes.fabric or make_fabric(recipe.training.precision, device)
        network = copied(self.network)
        compressor = self._compressor(network)
        network.to(fabric.device)
        channels_last = takes_channels_last(network, fabric.device)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        network.to(memory_format=layout)  # type: ignore[call-overload]
        meter, training = Meter(), recipe.training

        def served(split: Split) -> Batches:
            return batches_of(split, training.batch_size, fabric.device, training.workers)

        watchers: list[Callback] = [Alive(compressor.empty, recipe.compression.allow_empty), meter]
        if choosing is not None:
            watchers.append(Validation(served(choosing)))
        watchers += [*callbacks, Loggers(loggers, whole(recipe))]
        watchers.append(_checkpoint(meter, recipe.training.checkpoint_minutes))
        if self.processes.rank == 0:
            watchers.append(Progress())
        return Trainer(
            network=network,
            channels_last=channels_last,
            masks=compressor.masks(seed_of(recipe.seed, "masks")),
            domain=self._domain,
            normalisation=Normalisation(*self._moments).to(fabric.device),
            batches=served(fitting),
            settings=recipe.training,
            seed=recipe.seed,
            fabric=fabric,
            folder=folder,
            phases=self.phases,
            callbacks=watchers,
            processes=self.processes,
        )

    def _card(self, trainer: Trainer) -> Card:
        """Return the card of a network that is trained, quantized and measured."""
        recipe, (fitting, choosing) = self.recipe, self._parts
        network, (mean, std) = trainer.network, self._moments
        metadata = CardMetadata(
            classes=self.images.classes,
            input_size=self.images.train.size,
            mean=mean,
            std=std,
            prunable=tuple(trainer.masks.weights),
            architecture=architecture_metadata(network),
            domain={"name": self._domain.name, **self._domain.model_dump(mode="json")},
            recipe=self._told(recipe.model_dump(mode="json")),
            winninghand=__version__,
        )
        profile = training_profile(self._domain, fitting, recipe.seed, trainer.fabric.device)
        # The layout of a loaded card, so that both give the same bits.
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        card = self._quantized(Card(network, metadata, profile), fitting)
        # The one time that a run looks at the test images.
        parts = {"validation": choosing, "test": self.images.test}
        try:
            measured = {
                name: accuracy(card, part, images_at_once(256, 128, part.size))
                for name, part in parts.items()
                if part is not None
            }
        except InputError as error:
            # Weights can be finite, and yet too large for finite answers.
            raise DivergedError(
                f"the training diverged: {error}; lower training.learning_rate, or set a larger "
                "training.batch_size, and use a new folder"
            ) from error
        return card.with_metadata(accuracies=measured).cpu()

    def _told(self, table: dict[str, Any]) -> dict[str, Any]:
        """Return a recipe with what was found out on the way: how images were prepared, what weights cost."""
        if self._costs is not None:
            table["compression"]["costs"] = dict(self._costs)
        return {**table, "images": self._prepared()}

    def _quantized(self, card: Card, fitting: Split) -> Card:
        """Round the card's weights as the recipe says, by images as the network saw them in training."""
        settings, seed = self.recipe.quantization, self.recipe.seed
        if settings.weights == "none":
            return card
        if settings.images == 0:
            return card.quantized(settings.weights)
        indices = fitting.balanced_sample(min(settings.images, len(fitting)), seed)
        device = device_of(card)
        # Larger images in parts, each of which has random numbers of its own; smaller ones always were one.
        large = math.prod(fitting.size) > _SMALL
        count = math.ceil(len(indices) / images_at_once(512, 64, fitting.size)) if large else 1

        def seen() -> Iterator[Tensor]:
            for number, part in enumerate(np.array_split(indices, count)):
                images = torch.from_numpy(fitting.images[part]).to(device)
                generator = generator_of(device, seed, "quantization", *([number] if number else []))
                yield self._domain.views(images, generator).flatten(0, 1)

        return card.quantized_on(settings.weights, seen, settings.norms)


def _checkpoint(meter: Meter, minutes: float) -> Checkpoint:
    """Return what keeps checkpoints: after each epoch, and within one where so many minutes are above 0."""
    if minutes == 0:
        return Checkpoint()
    from winninghand.training.checkpoints import CheckpointWithin

    return CheckpointWithin(meter, minutes)

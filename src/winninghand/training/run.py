"""One run: a network and an image set in, a card out."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from winninghand.augmentation import Domain, make_domain
from winninghand.base.device import device_of
from winninghand.base.version import __version__
from winninghand.cards import Card, CardMetadata, Normalisation, architecture_metadata
from winninghand.compression import Compressor, Phase
from winninghand.decks import load_card
from winninghand.evaluation import accuracy
from winninghand.images import ImageSet, Split
from winninghand.recipe import Recipe
from winninghand.training.batches import Batches
from winninghand.training.device import channels_last_pays, make_fabric
from winninghand.training.run_folder import RunFolder
from winninghand.training.seeds import generator_of, seed_of
from winninghand.training.statistics import Triple, channel_statistics, fingerprint, training_profile
from winninghand.training.trainer import Trainer


@dataclass(frozen=True)
class Run:
    """A network to be trained, in place, under a recipe on an image set.

    `trained` says that the network arrives with weights worth keeping; `origin` tells them from
    other weights. `exclude` names modules and weights that are not pruned. `normalisation` is the
    mean and the standard deviation that the network expects, measured on the training images
    where it is None.
    """

    recipe: Recipe
    images: ImageSet
    network: nn.Module
    trained: bool = False
    origin: str = ""
    exclude: Collection[str] = ()
    normalisation: tuple[Triple, Triple] | None = None

    @property
    def phases(self) -> Sequence[Phase]:
        """The phases that the run goes through."""
        return self.compressor.phases(self.recipe.training.epochs)

    @cached_property
    def compressor(self) -> Compressor:
        """What is to be done to the network, as it is before it trains."""
        return Compressor(
            self.network, self.recipe.compression, self.trained, self.exclude, self.images.train.size
        )

    def play(self, out: Path | str | None) -> Card:
        """Train, or go on training, in the folder `out`, and return the card, which is left there too.

        Without `out` nothing is kept. A run that is finished already gives its card at once.
        """
        phases = self.phases
        with tempfile.TemporaryDirectory() if out is None else nullcontext(out) as path:
            folder = self.folder(path)
            if folder.card.exists():
                return load_card(folder.card, network=self.network)
            card = self._train(folder, phases)
            card.save(folder.card)
            return card

    def folder(self, path: Path | str) -> RunFolder:
        """Return the folder at `path` as this run's; `InputError` where it holds another run."""
        return RunFolder(path, self._identity())

    def seconds_per_step(self) -> float:
        """Return how long a step of the first phase takes; the run's network is left as it is."""
        trial = replace(self, network=copy.deepcopy(self.network))
        fitting, _ = trial._parts()
        with tempfile.TemporaryDirectory() as path:
            trainer = trial._trainer(
                trial.folder(path),
                make_domain(self.recipe.domain),
                fitting,
                None,
                Normalisation(*(self.normalisation or channel_statistics(fitting))),
            )
            return trainer.seconds_per_step(trial.phases[0])

    def steps_per_epoch(self) -> int:
        """Return how many steps an epoch has."""
        fitting, _ = self._parts()
        return len(fitting) // min(self.recipe.training.batch_size, len(fitting))

    def _train(self, folder: RunFolder, phases: Sequence[Phase]) -> Card:
        recipe = self.recipe
        fitting, choosing = self._parts()
        domain = make_domain(recipe.domain)
        mean, std = self.normalisation or channel_statistics(fitting)
        trainer = self._trainer(folder, domain, fitting, choosing, Normalisation(mean, std))
        trainer.run(phases)
        metadata = CardMetadata(
            classes=self.images.classes,
            input_size=self.images.train.size,
            mean=mean,
            std=std,
            prunable=tuple(self.compressor.weights),
            architecture=architecture_metadata(self.network),
            domain={"name": domain.name, **domain.model_dump(mode="json")},
            recipe=recipe.model_dump(mode="json"),
            winninghand=__version__,
        )
        profile = training_profile(domain, fitting, recipe.seed, trainer.fabric.device)
        # The layout of a loaded card, so that both give the same bits.
        self.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        card = self._quantized(Card(self.network, metadata, profile), domain, fitting)
        # The one time that a run looks at the test images.
        measured = {"validation": accuracy(card, choosing)} if choosing is not None else {}
        measured["test"] = accuracy(card, self.images.test)
        return card.with_metadata(accuracies=measured).cpu()

    def _quantized(self, card: Card, domain: Domain, fitting: Split) -> Card:
        """Round the card's weights as the recipe says, by images as the network saw them in training."""
        settings, seed = self.recipe.quantization, self.recipe.seed
        if settings.weights == "none":
            return card
        if settings.images == 0:
            return card.quantized(settings.weights)
        indices = fitting.balanced_sample(min(settings.images, len(fitting)), seed)
        device = device_of(card)
        images = torch.from_numpy(fitting.take(indices).images).to(device)
        views = domain.views(images, generator_of(device, seed, "quantization"))
        return card.quantized(settings.weights, views.flatten(0, 1), settings.norms)

    def _parts(self) -> tuple[Split, Split | None]:
        """Divide the training images into those to learn from and those to choose by.

        The same for every seed, so that a deck of any cards can be fitted on images unseen by all.
        """
        split, fraction = self.images.train, self.recipe.training.validation
        if fraction == 0:
            return split, None
        rest, validation = split.validation(fraction)
        return split.take(rest), split.take(validation)

    def _trainer(
        self,
        folder: RunFolder,
        domain: Domain,
        fitting: Split,
        choosing: Split | None,
        normalisation: Normalisation,
    ) -> Trainer:
        settings = self.recipe.training
        fabric = make_fabric(settings.precision)
        device = fabric.device
        # Before the network moves, so that what is drawn for it is the same on every device.
        compressor = self.compressor
        self.network.to(device)
        if channels_last_pays(device):
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Trainer(
            network=self.network,
            masks=compressor.masks(seed_of(self.recipe.seed, "masks")),
            domain=domain,
            normalisation=normalisation.to(device),
            batches=Batches(fitting, settings.batch_size, device),
            validation=Batches(choosing, settings.batch_size, device) if choosing is not None else None,
            settings=settings,
            seed=self.recipe.seed,
            fabric=fabric,
            folder=folder,
        )

    def _identity(self) -> dict[str, Any]:
        return {
            # Without the defaults, so that a key added to recipes later does not disown the run.
            "recipe": self.recipe.model_dump(mode="json", exclude_defaults=True),
            "images": fingerprint(self.images.train),
            "origin": self.origin,
            "exclude": sorted(self.exclude),
        }

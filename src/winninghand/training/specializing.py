"""`wh.specialize`: one finished card, and norms for each of several domains, yield a deck of one body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from winninghand.augmentation import DOMAINS, Domain, make_domain
from winninghand.base.device import resolve_device, resolve_precision
from winninghand.base.errors import InputError, checked_whole
from winninghand.cards import Card, Normalisation
from winninghand.cards.images_for import images_for
from winninghand.cards.opening import CardLike, load_card
from winninghand.decks import Deck, fit_gate
from winninghand.decks.deck import make_gate
from winninghand.decks.fitting import LIMIT, fitting_conditions
from winninghand.decks.gate import GATES, GateSettings, gate_settings
from winninghand.images import ImageSet
from winninghand.networks import takes_channels_last
from winninghand.networks.entering import copied
from winninghand.networks.norms import NORMS, norm_names, with_norms_of_its_own
from winninghand.spectra import SpectralProfile
from winninghand.training.batches import batches_of
from winninghand.training.data import Batches, generator_of, training_profile
from winninghand.training.profiles import learned_from

BATCH_SIZE = 128
LEARNING_RATE = 0.02
_MOMENTUM = 0.9

DomainLike = str | Mapping[str, object]


def specialize(
    card: CardLike,
    images: ImageSet | Path | str,
    domains: Sequence[DomainLike] = ("clean", "gaussian", "augmix"),
    epochs: int = 2,
    *,
    limit: int | None = None,
    gate: str = "weighted",
    settings: GateSettings | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    progress: Callable[[int], None] = lambda _: None,
) -> Deck:
    """Return a deck of one body, on the CPU: the card's, under norms that are trained for each domain.

    Convolutions and linear weights stay as they are and are held once, in memory and in the deck's file.
    Norms, of any kind, start from the card's. Their weights, biases and running statistics are trained for
    `epochs` of the images that the card learned from, or of a class-balanced sample of `limit` of them: SGD,
    Nesterov momentum 0.9, the learning rate falling linearly to 0. What is trained is rounded to half
    precision, and a card's file takes two bytes for each number (Chang et al. 2019, arXiv:1906.03950).

    `domains` are names, or tables of a name and parameters. Under a bare name there is one view of each
    image: a loss that compares several (`jsd`) takes a table, such as `{"name": "augmix", "jsd": True}`.
    `gate` is fitted as in `fit_gate`; without `settings` it plays one card on each image, so that the deck
    takes one pass. `progress` is told the number of images of each batch trained, and then fitted, on.

    The card, which may be given by its file or as `zoo:NAME`, stays as it is. `images` given by a name or a
    path are loaded as for the training of the card. Raises `InputError` for a card
    without norms, images of other classes or another size, a domain that is not known here or named twice,
    and a training that diverges.
    """
    card = load_card(card) if isinstance(card, str | PathLike) else card
    if isinstance(images, str | PathLike) and isinstance(card, Card):
        images = images_for({"the card": card}, images)
    made = _checked(card, images, domains)
    epochs, batch_size = checked_whole("epochs", epochs, 1), checked_whole("batch size", batch_size, 1)
    if not isinstance(learning_rate, int | float) or not 0 < learning_rate < 10:
        raise InputError(f"the learning rate must be above 0 and below 10, not {learning_rate!r}")
    if limit is not None:
        checked_whole("limit", limit, 1)
    learned = learned_from(card, images.train)
    shown = learned if limit is None else learned.take(learned.balanced_sample(limit, seed))
    there = resolve_device(device)
    if settings is None:
        settings = gate_settings(gate, {} if gate == "average" else {"max_active": 1})
    if not GATES[gate].needs_profiles:
        make_gate(gate, [card] * len(made), settings)  # what it refuses is known before any training
    normalisation = Normalisation(card.metadata.mean, card.metadata.std).to(there)
    training = _Norms(
        batches_of(shown, batch_size, there), epochs, learning_rate, seed, normalisation, progress
    )
    cards = []
    with torch.inference_mode(False), torch.enable_grad():
        body = copied(card.network).to(there)
        layout = torch.channels_last if takes_channels_last(body, there) else torch.contiguous_format
        body.to(memory_format=layout)  # type: ignore[call-overload]
        for domain in made:
            network = with_norms_of_its_own(body)
            training.train(network, domain, layout)
            profile = _halved(training_profile(domain, learned, seed, torch.device("cpu")))
            cards.append(_card(card, network, domain, profile, training))
        # The layout of a loaded card, so that both give the same bits.
        body.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return fit_gate(Deck(cards, gate, settings), images.train, progress=progress).cpu()


def images_to_go(card: Card, images: ImageSet, domains: int, epochs: int, limit: int | None) -> int:
    """Return of how many images `specialize` tells its `progress`, with the default batch size."""
    learned = len(learned_from(card, images.train))
    shown = learned if limit is None else min(limit, learned)
    batch = min(BATCH_SIZE, shown)
    fitted = len(fitting_conditions()) * min(LIMIT, len(images.train))
    return domains * epochs * (shown // batch) * batch + fitted


@dataclass(frozen=True)
class _Norms:
    """The training of the norms of one body."""

    batches: Batches
    epochs: int
    learning_rate: float
    seed: int
    normalisation: Normalisation
    progress: Callable[[int], None]

    def train(self, network: nn.Module, domain: Domain, layout: torch.memory_format) -> None:
        """Train the norms of a network under a domain, in place; it is left in evaluation mode."""
        names = norm_names(network)
        device = self.batches.device
        network.eval()
        for part in network.modules():
            part.training = isinstance(part, NORMS)
        frozen = [one for name, one in network.named_parameters() if name not in names and one.requires_grad]
        for one in frozen:
            one.requires_grad_(False)
        optimizer = self._optimizer([one for one in network.parameters() if one.requires_grad])
        steps, done = self.epochs * len(self.batches), 0
        for epoch in range(self.epochs):
            for images, labels in self.batches.epoch(self.seed, "norms", epoch):
                views = domain.views(images, generator_of(device, self.seed, "norms", domain.name, done))
                loss = self._loss(network, domain, views, labels, layout)
                if optimizer is not None:
                    for group in optimizer.param_groups:
                        group["lr"] = self.learning_rate * (1 - done / steps)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                done += 1
                self.progress(len(labels))
        for one in frozen:
            one.requires_grad_(True)
        network.eval()
        _round(network, names, domain)

    def _optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer | None:
        """Return the optimizer; None for norms that have statistics alone."""
        if not parameters:
            return None
        return torch.optim.SGD(parameters, lr=self.learning_rate, momentum=_MOMENTUM, nesterov=True)

    def _loss(
        self,
        network: nn.Module,
        domain: Domain,
        views: Tensor,
        labels: Tensor,
        layout: torch.memory_format,
    ) -> Tensor:
        seen = self.normalisation(views.flatten(0, 1)).contiguous(memory_format=layout)
        half = resolve_precision("auto", seen.device) == "bf16-mixed"
        with torch.autocast(seen.device.type, dtype=torch.bfloat16, enabled=half):
            logits: Tensor = network(seen)
        return domain.loss(logits.float().unflatten(0, (len(views), -1)), labels)


@torch.no_grad()
def _round(network: nn.Module, names: Set[str], domain: Domain) -> None:
    """Round what was trained to halves, in place; `InputError` where it is not finite."""
    for name, tensor in network.state_dict().items():
        if name in names and tensor.is_floating_point():
            if not bool(tensor.isfinite().all()):
                raise InputError(
                    f"the training of norms under {domain.name!r} diverged; take a lower learning rate"
                )
            tensor.copy_(_half(tensor))


def _checked(card: Card, images: object, domains: Sequence[DomainLike]) -> list[Domain]:
    if not isinstance(card, Card):
        raise InputError(f"specialize takes a card, not {type(card).__name__}; give it or its file")
    if not isinstance(images, ImageSet):
        raise InputError(
            f"images must be an ImageSet or a path, not {type(images).__name__}; see wh.load_images"
        )
    if card.classes != images.classes or card.input_size != images.train.size:
        raise InputError(
            f"the card knows other classes or another size than the images of {images.name}; check the data"
        )
    if not norm_names(card.network):
        raise InputError(
            f"the card's network, {card.network_name}, has no norms with weights or statistics, in which "
            "alone the cards of one body differ; take a network with batch, layer, group or instance norms"
        )
    if isinstance(domains, str | Mapping) or not isinstance(domains, Sequence) or not domains:
        raise InputError(
            f"domains must be a list of names or tables, such as ['clean', 'augmix'], not {domains!r}"
        )
    made = [_domain(one) for one in domains]
    for number, domain in enumerate(made):
        if domain in made[:number]:
            raise InputError(f"the domain {domain.name!r} is named twice")
    return made


def _domain(spec: DomainLike) -> Domain:
    """Return a domain; of a bare name one that shows one view of each image."""
    if isinstance(spec, str) and "jsd" in DOMAINS[spec].model_fields:
        return make_domain({"name": spec, "jsd": False})
    return make_domain(spec)


def _card(card: Card, network: nn.Module, domain: Domain, profile: SpectralProfile, training: _Norms) -> Card:
    described: dict[str, Any] = {"name": domain.name, **domain.model_dump(mode="json")}
    recipe = {
        **(card.metadata.recipe or {}),
        "specialization": {
            "domain": described,
            "epochs": training.epochs,
            "images": len(training.batches.labels),
            "learning_rate": training.learning_rate,
            "batch_size": training.batches.batch_size,
            "seed": training.seed,
        },
    }
    metadata = card.metadata.changed(domain=described, recipe=recipe, accuracies={})
    return Card(network, metadata, profile, card.scales)


def _halved(profile: SpectralProfile) -> SpectralProfile:
    """Return a profile in half precision; its numbers are known to a thirtieth of their spread at best."""
    clean = None if profile.clean is None else _halved(profile.clean)
    return SpectralProfile(_half(profile.mean), _half(profile.spread), clean, profile.rule)


def _half(tensor: Tensor) -> Tensor:
    """Return a tensor rounded to halves; as it is where a number of it is beyond their range."""
    half = tensor.half().to(tensor.dtype)
    return half if bool(half.isfinite().all()) else tensor

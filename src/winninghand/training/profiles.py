"""New spectral profiles for finished cards and decks, of the images that they were trained on."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from winninghand.augmentation import DOMAINS, Domain, make_domain
from winninghand.base.errors import InputError, shown
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.images import ImageSet, Split
from winninghand.training.data import training_profile


def profiled(
    model: Card | Deck, images: ImageSet, domain: str | Mapping[str, object] | None = None
) -> Card | Deck:
    """Return a card, or a deck of its cards, with profiles made anew by the present rule.

    `images` are those that it was trained on. Sample and seed are those of the card's own training, so that
    the profile is what this version would have given it. All else stays as it is. `domain` is that of cards
    which do not know theirs. Raises `InputError` for images of other classes or another size, and for a card
    of no known domain.
    """
    if model.kind == "card":
        return _profiled(model, images, domain, "the card")
    cards = [
        _profiled(card, images, domain, f"card {number}") for number, card in enumerate(model.cards, start=1)
    ]
    return Deck(cards, model.gate, model.settings, model.temperatures.tolist())


def _profiled(card: Card, images: ImageSet, domain: str | Mapping[str, object] | None, name: str) -> Card:
    if card.classes != images.classes or card.input_size != images.train.size:
        raise InputError(
            f"{name} knows other classes or another size than the images of {images.name}; check --data"
        )
    profile = training_profile(
        _domain_of(card, domain, name),
        learned_from(card, images.train),
        seed_of_card(card),
        torch.device("cpu"),
    )
    return Card(*card.parts._replace(profile=profile)).to(card.device)


def _domain_of(card: Card, domain: str | Mapping[str, object] | None, name: str) -> Domain:
    own = card.metadata.domain
    if own is not None and own.get("name") not in DOMAINS:
        if domain is None:
            raise InputError(
                f"{name} was trained under the domain {shown(repr(own.get('name')))}, which is not known "
                "here; install the package that adds it, or name the domain by --domain"
            )
        own = None
    known = own or domain
    if known is None:
        raise InputError(f"{name} does not know the domain that it was trained under; name it by --domain")
    return make_domain(known)


def learned_from(card: Card, split: Split) -> Split:
    """Return the images that a card learned from: all but those that its recipe kept for choosing."""
    fraction = card.metadata.validation_fraction
    return split.take(split.validation(fraction)[0]) if fraction else split


def seed_of_card(card: Card) -> int:
    """Return the seed of a card's training, 0 where it is not known."""
    seed = (card.metadata.recipe or {}).get("seed", 0)
    return seed if isinstance(seed, int) and seed >= 0 else 0

"""Images for models that are trained already: prepared and divided as they were for their training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.cards.card import Card
from winninghand.cards.player import Player, check_classes
from winninghand.images import ImageSet, load_images
from winninghand.images.preparation import DRAWN
from winninghand.images.resizing import shorter_side
from winninghand.images.source import NoStreamError

_LOG = logging.getLogger("winninghand")


def images_for(
    models: Mapping[str, Player],
    source: Path | str,
    root: Path | str | None = None,
    skip_broken: bool = False,
    stream: bool = False,
) -> ImageSet:
    """Return the images of `source` at the size of models, prepared and divided as for their training.

    With `stream` they stay in their files, also where the training had them in memory. Raises `InputError`,
    which calls a model by its name, where it has no cards, which remember that, where it knows other classes
    or has another size than the first, and where its cards were trained on another part of images that name
    no part for tests.
    """
    for name, model in models.items():
        if not model.cards:
            raise InputError(
                f"{name} is a module, which does not say how its images are prepared; load them, such as "
                "wh.load_images(…).test"
            )
    first = next(iter(models.values())).cards[0].metadata.preparation
    how = first.model_copy(
        update={"skip_broken": skip_broken or first.skip_broken, "stream": stream or first.stream}
    )
    try:
        images = load_images(source, root, **how.model_dump())
    except NoStreamError:  # a card that learned from class folders, and is measured on something else
        if stream:
            raise
        images = load_images(source, root, **how.model_copy(update={"stream": False}).model_dump())
    for name, model in models.items():
        for card in model.cards:
            _check_fits(name, card, images)
        apart = [own for own in _transforms(model) if shorter_side(own) != shorter_side(first.transform)]
        if apart:
            _LOG.warning(
                "%s knows pictures brought to size by %s, and sees them by %s, as the first model does",
                name,
                apart[0],
                first.transform,
            )
        if any(_other_images(card, images) for card in model.cards):
            _LOG.warning(
                "%s holds other images than when %s was trained, or is another folder; "
                "in the first case some test images may be among those that it learned from",
                images.name,
                name,
            )
    return images


def _check_fits(name: str, card: Card, images: ImageSet) -> None:
    check_classes(card, images.classes, name, images.name)
    own, size = card.metadata.preparation, images.train.size
    if card.input_size != size:
        raise InputError(
            f"{name} takes images of {_written(card.input_size)} and the first model of {_written(size)}; "
            "give models of one size"
        )
    if images.origin is None or not images.origin.drawn:
        return
    drawn = images.origin.preparation
    if (own.test_fraction, own.split_seed) != (drawn.test_fraction, drawn.split_seed):
        raise InputError(
            f"{name} learned from another part of {images.name} than the first card: for tests it drew "
            f"{own.test_fraction:g} by seed {own.split_seed}, not {drawn.test_fraction:g} by seed "
            f"{drawn.split_seed}; train them on one part"
        )


def _other_images(card: Card, images: ImageSet) -> bool:
    """Say whether drawn test images are others than those that were drawn for the card."""
    drawn = images.origin is not None and images.origin.drawn
    before = (card.metadata.recipe or {}).get("images", {}).get(DRAWN)
    return drawn and before is not None and before != images.test.digest


def _transforms(model: Player) -> list[str]:
    """Return how pictures were brought to size for the cards of a model, each way once."""
    return list(dict.fromkeys(card.metadata.preparation.transform for card in model.cards))


def _written(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"

"""Images for commands: as a recipe says, or as those that a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.base.files import expanded
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.images import IMAGE_SETS, ImageSet, Preparation
from winninghand.images.pictures import OtherSizeError
from winninghand.images.preparation import DRAWN
from winninghand.networks import empty_network, preprocessing_of
from winninghand.recipe import Recipe
from winninghand.report.terminal import say


def images_as(how: Preparation, data: str, root: Path | None) -> ImageSet:
    """Return the images of `--data`, prepared; of a folder it is said how many of each class there are."""
    from winninghand.images import load_images

    images = load_images(data, root=root, **how.model_dump())
    if data not in IMAGE_SETS and expanded(data).is_dir():
        say(images.summary())
    return images


def images_of(recipe: Recipe, data: str, root: Path | None, trust: bool = False) -> tuple[Recipe, ImageSet]:
    """Return a recipe and the images of `--data`, prepared as it says.

    Where these are of several sizes and it gives none, they and the recipe get the one that the network's
    library says it takes.
    """
    try:
        return recipe, images_as(recipe.images, data, root)
    except OtherSizeError:
        asked = preprocessing_of(empty_network(**recipe.network, trust=trust))
        if asked is None:
            raise
        name, size = recipe.network["name"], _written(asked.size)
        say(f"images of several sizes are brought to {size}, as {name} takes them")
        images = recipe.images.model_copy(update={"size": asked.size})
        return recipe.model_copy(update={"images": images}), images_as(images, data, root)


def images_for(
    models: Mapping[str, Card | Deck], data: str, root: Path | None, skip_broken: bool = False
) -> ImageSet:
    """Return the images of `--data` at the size of models, prepared and divided as for their training.

    Raises `InputError`, which calls a model by its name, where one knows other classes or has another size
    than the first, and where its cards were trained on another part of images that name no part for tests.
    """
    first = next(iter(models.values())).cards[0].metadata.preparation
    how = first.model_copy(update={"skip_broken": skip_broken or first.skip_broken})
    images = images_as(how, data, root)
    for name, model in models.items():
        for card in model.cards:
            _check_fits(name, card, images)
        if any(_other_images(card, images) for card in model.cards):
            say(
                f"{images.name} holds other images than when {name} was trained, or is another folder; "
                "in the first case some test images may be among those that it learned from"
            )
    return images


def _check_fits(name: str, card: Card, images: ImageSet) -> None:
    if card.classes != images.classes:
        raise InputError(
            f"{name} knows other classes than the images of {images.name} "
            f"({_differing(card.classes, images)}); check --data"
        )
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


def _written(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _differing(classes: Sequence[str], images: ImageSet) -> str:
    """Say in a few words in what class names differ from those of images."""
    if len(classes) != len(images.classes):
        return f"{len(classes)} instead of {len(images.classes)}"
    place = next(place for place, name in enumerate(classes) if name != images.classes[place])
    return f"{classes[place]!r} instead of {images.classes[place]!r}"

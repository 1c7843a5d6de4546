"""Images for commands: as a recipe says, or as those that a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from winninghand.base.files import expanded
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.images import IMAGE_SETS, ImageSet, Preparation
from winninghand.recipe import Recipe
from winninghand.report.terminal import say


def images_as(how: Preparation, data: str, root: Path | None) -> ImageSet:
    """Return the images of `--data`, prepared; of a folder it is said how many of each class there are."""
    from winninghand.images import load_images

    return _told(load_images(data, root=root, **how.model_dump()), data)


def images_of(recipe: Recipe, data: str, root: Path | None, trust: bool = False) -> tuple[Recipe, ImageSet]:
    """Return a recipe and the images of `--data`, prepared as it says: see `images_of_recipe`."""
    from winninghand.training.images import images_of_recipe

    complete, images = images_of_recipe(recipe, data, root, trust)
    return complete, _told(images, data)


def images_for(
    models: Mapping[str, Card | Deck],
    data: str,
    root: Path | None,
    skip_broken: bool = False,
    stream: bool = False,
) -> ImageSet:
    """Return the images of `--data` for models, as for their training: see `cards.images_for`."""
    from winninghand.cards.images_for import images_for as prepared

    return _told(prepared(models, data, root, skip_broken, stream), data)


def _told(images: ImageSet, data: str) -> ImageSet:
    if data not in IMAGE_SETS and (expanded(data).is_dir() or "{" in data):
        say(images.summary())
    return images

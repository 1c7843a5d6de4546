"""Images for a training that are given by a name or a path: prepared as its recipe says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from torch import nn

from winninghand.images import ImageSet, Preparation, load_images
from winninghand.images.catalog import prepared_images
from winninghand.images.pictures import OtherSizeError
from winninghand.networks import Preprocessing, architecture_of, empty_network, preprocessing_of
from winninghand.recipe import Recipe

_LOG = logging.getLogger("winninghand")


def images_of_recipe(
    recipe: Recipe, source: Path | str, root: Path | str | None = None, trust: bool = False
) -> tuple[Recipe, ImageSet]:
    """Return a recipe and the images of `source`, prepared as it says.

    Where these are of several sizes and it gives none, they and the recipe get the one that the network's
    library says it takes.
    """

    def asked() -> Preprocessing | None:
        return preprocessing_of(empty_network(**recipe.network, trust=trust))

    how, images = _prepared(source, root, recipe.images, asked, recipe.network["name"])
    return (recipe if how == recipe.images else recipe.model_copy(update={"images": how})), images


def images_of_module(module: nn.Module, source: Path | str) -> ImageSet:
    """Return the images of `source` for a module, of its library's size where they are of several."""
    architecture = architecture_of(module)
    name = type(module).__name__ if architecture is None else architecture.name
    return _prepared(source, None, Preparation(), lambda: preprocessing_of(module), name)[1]


def _prepared(
    source: Path | str,
    root: Path | str | None,
    how: Preparation,
    asked: Callable[[], Preprocessing | None],
    name: str,
) -> tuple[Preparation, ImageSet]:
    try:
        return how, prepared_images(source, root, how)
    except OtherSizeError as error:
        own = asked()
        if own is None:
            raise error.with_broken(how.skip_broken) from None
        _LOG.warning("images of several sizes are brought to %d×%d, as %s takes them", *own.size, name)
        how = how.model_copy(update={"size": own.size})
        return how, load_images(source, root, **how.model_dump())

"""`wh.train`: a recipe, trained on an image set, yields a card."""

from __future__ import annotations

from pathlib import Path

import torch

from winninghand.cards import Card
from winninghand.images import ImageSet
from winninghand.networks import network
from winninghand.recipe import Recipe, load_recipe
from winninghand.training.run import Run
from winninghand.training.seeds import seed_of


def train(recipe: Recipe | Path | str, images: ImageSet, out: Path | str | None = None) -> Card:
    """Train the network of a recipe on `images` and return its card, on the CPU.

    `recipe` is a `Recipe` or the path of a TOML file. The run keeps `checkpoint.pt`,
    `metrics.csv`, `run.json` and at last `card.card` in the folder `out`: called again on the
    same folder it goes on where it was, and after a kill at any moment ends, on one CPU with one
    thread count, with the same bits as a run that was never stopped. Without `out` nothing is
    kept.

    The card's `accuracies` are fractions: `validation` on the part of the training images that was
    kept for choosing, `test` on the test images, which are looked at once, at the end. Raises
    `InputError` for a recipe that cannot be read or does not fit the images, and for a folder
    that holds another run.
    """
    return new_run(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), images).play(out)


def new_run(recipe: Recipe, images: ImageSet) -> Run:
    """Return the run of a recipe, its network freshly initialised from the recipe's seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed_of(recipe.seed, "network"))
        fresh = network(**{**recipe.network, "classes": len(images.classes)})
    return Run(recipe, images, fresh)

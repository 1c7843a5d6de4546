"""`wh.train` and `wh.compress`: a recipe, or any classifier, and an image set yield a card."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from winninghand.base.errors import InputError, checked_path, first_error
from winninghand.base.randomness import seed_of
from winninghand.cards import Card, architecture_metadata
from winninghand.cards.metadata import PositiveTriple, Triple
from winninghand.compression import Scope
from winninghand.images import ImageSet
from winninghand.networks import entering, preprocessing_of
from winninghand.networks import network as network_named
from winninghand.recipe import Recipe, load_recipe, make_recipe
from winninghand.training.callbacks import Callback
from winninghand.training.data import LEAST_STEPS
from winninghand.training.run import Run

if TYPE_CHECKING:
    from lightning_fabric.loggers.logger import Logger

_NORMALISATION = TypeAdapter(tuple[Triple, PositiveTriple])


def train(
    recipe: Recipe | Mapping[str, Any] | Path | str,
    images: ImageSet | Path | str | None = None,
    out: Path | str | None = None,
    *,
    device: torch.device | str | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    wait: bool = True,
    trust: bool = False,
) -> Card:
    """Train the network of a recipe on `images` and return its card, on the CPU.

    `recipe` is a `Recipe`, a table of its keys, or the path of a TOML file. `images` are an image set, or
    what `wh.load_images` takes, such as the path of a folder: then they are loaded as the recipe's `[images]`
    says. Those of several sizes are brought to the size that the network's library says it takes, if the
    recipe gives none. `device` is where it trains, such as `"cpu"` or `"cuda:1"`; the best one at hand for
    None.

    The run keeps `checkpoint.pt`, `metrics.csv`, `run.json` and at last `card.card` in the folder
    `out`. Called again on the same folder it goes on where it was. After a kill at any moment it
    ends, on one CPU with one thread count, with the same bits as a run that was never stopped.
    Without `out` nothing is kept. While another process works in the folder, this one waits; without
    `wait` it raises `InputError`.

    `callbacks` watch the training: see `wh.Callback`. `loggers` are any of Lightning's
    (`log_hyperparams`, `log_metrics`, `save`, `finalize`): each gets the whole recipe, one set of metrics per
    epoch and at last the card's accuracies.

    A network of timm, torchvision or transformers sees images normalised as that library says. One of an
    import path is built only with `trust`, since that runs its code.

    The card's `accuracies` are fractions: `validation` on the part of the training images that was
    kept for choosing, `test` on the test images, which are looked at once, at the end. Raises
    `InputError` for a recipe that cannot be read or does not fit the images, for a folder that
    holds another run or a damaged checkpoint, and for a training that diverges.
    """
    if isinstance(recipe, Mapping):
        recipe = make_recipe(recipe, trust=trust)
    elif not isinstance(recipe, Recipe):
        recipe = load_recipe(checked_path("recipe", recipe, "a Recipe, a table or a path"), trust=trust)
    if isinstance(images, str | PathLike):
        from winninghand.training.images import images_of_recipe  # images that are there need none of it

        recipe, images = images_of_recipe(recipe, images, trust=trust)
    return new_run(recipe, images, trust).train(out, device, callbacks, loggers, wait)


def new_run(recipe: Recipe, images: ImageSet | None, trust: bool = False) -> Run:
    """Return the run of a recipe, its network freshly initialised from the recipe's seed, or pretrained."""
    images = _checked(images)
    _check_prepared(recipe, images)
    with torch.random.fork_rng():
        torch.manual_seed(seed_of(recipe.seed, "network"))
        fresh = network_named(**{**recipe.network, "classes": len(images.classes)}, trust=trust)
    return Run(
        _with_enough_steps(recipe, images),
        images,
        entering(fresh, images.train.size, len(images.classes), trained=True),
        origin=_weights_hash(fresh) if recipe.network.get("pretrained") is True else "",
        normalisation=_expected(fresh),
    )


def compress(
    module: nn.Module,
    images: ImageSet | Path | str | None = None,
    method: str = "lrr",
    sparsity: float = 0.9,
    scope: Scope | None = None,
    epochs: int | None = None,
    out: Path | str | None = None,
    *,
    domain: str | dict[str, Any] = "clean",
    seed: int = 0,
    exclude: Collection[str] = (),
    train_first: bool = False,
    normalisation: tuple[Triple, Triple] | None = None,
    compression: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    device: torch.device | str | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    wait: bool = True,
) -> Card:
    """Compress any classifier and return its card; the module itself is left as it is.

    `module` maps float images (N, 3, H, W), normalised by `normalisation` (mean and standard
    deviation per channel, in units of [0, 1]; where None, its library's for a network that `wh.network` had
    of one, and else measured on the training images), to logits (N, classes); what else is taken, and what
    is refused, `networks.entering` says: floats of other widths, wrappers and masks of
    `torch.nn.utils.prune`, for instance, are taken. It is compressed from its present weights;
    `train_first` trains it once before anything is pruned, as a freshly initialised one needs. `epochs`
    are per phase; where None, 10, or 30 with `train_first`. `scope` is the method's own where None. `exclude`
    names modules or weights to leave alone; frozen ones are left alone too, and so is the head of a trained
    network where it has at most 5% of the prunable weights. `compression` and `training` hold further keys of
    those tables of a recipe, whose defaults suit a trained network and few images
    (`winninghand.recipe.FineTuning`) unless it is trained first.

    `images` may be a name or a path, as in `wh.train`. `out`, `device`, `callbacks`, `loggers` and `wait` are
    as there, too. Raises `InputError` for a
    network without prunable weights, a wrong number of outputs and whatever a recipe would be
    refused for.
    """
    if isinstance(images, str | PathLike):
        from winninghand.training.images import images_of_module

        images = images_of_module(module, images)
    images = _checked(images)
    network = entering(module, images.train.size, len(images.classes), trained=True)
    length = {} if epochs is None else {"epochs": epochs}
    spent = {} if scope is None else {"scope": scope}
    recipe = make_recipe(
        {
            "network": _as_in_recipe(network),
            "domain": domain,
            "seed": seed,
            "compression": {**(compression or {}), "method": method, "sparsity": sparsity, **spent},
            "training": {**(training or {}), **length},
        },
        known_network=False,
    ).of_own_network(trained=not train_first)
    run = Run(
        _with_enough_steps(recipe, images),
        images,
        network,
        trained=not train_first,
        origin=_weights_hash(network),
        exclude=tuple(exclude),
        normalisation=_checked_normalisation(normalisation) or _expected(network),
    )
    return run.train(out, device, callbacks, loggers, wait)


def _with_enough_steps(recipe: Recipe, images: ImageSet) -> Recipe:
    """Return a recipe whose batches, where it does not set their size, leave an epoch enough steps."""
    training = recipe.training
    if "batch_size" in training.model_fields_set or len(images.train) > 2 * LEAST_STEPS * training.batch_size:
        return recipe
    learned = len(images.train) - round(len(images.train) * training.validation)
    batch = min(training.batch_size, max(2, learned // LEAST_STEPS))
    return recipe.model_copy(update={"training": training.model_copy(update={"batch_size": batch})})


def _checked(images: ImageSet | None) -> ImageSet:
    """Return images to train on, or raise `InputError`; left out, they are missed in one line, too."""
    if images is None:
        raise InputError('the images to train on are missing; give them, such as wh.load_images("digits")')
    if not isinstance(images, ImageSet):
        raise InputError(
            f"images must be an ImageSet, not {type(images).__name__}; "
            "make one by wh.load_images or wh.ImageSet.from_arrays, or give its path"
        )
    return images


def _check_prepared(recipe: Recipe, images: ImageSet) -> None:
    """Raise `InputError` where images were loaded otherwise than the recipe's `[images]` table says."""
    asked, size = recipe.images, images.train.size
    if asked.size not in (None, size):
        raise InputError(
            f"recipe: images.size is {asked.size[0]}×{asked.size[1]} and the images are {size[0]}×{size[1]}; "
            "load them by wh.load_images(…, **recipe.images.model_dump())"
        )
    origin = images.origin
    if origin is None:
        return
    keys = [
        *(["transform"] if asked.size else []),
        *(["test_fraction", "split_seed"] if origin.drawn else []),
        "stream",
    ]
    for key in keys:
        there, here = getattr(origin.preparation, key), getattr(asked, key)
        if key in asked.model_fields_set and there != here:
            raise InputError(
                f"recipe: images.{key} is {here!r} and the images were loaded with {there!r}; "
                "load them by wh.load_images(…, **recipe.images.model_dump())"
            )


def _as_in_recipe(network: nn.Module) -> dict[str, object]:
    """Return what a recipe says of a network; the version of its library stands in the card."""
    known = architecture_metadata(network) or {"name": type(network).__qualname__}
    return {key: value for key, value in known.items() if key != "version"}


def _expected(network: nn.Module) -> tuple[Triple, Triple] | None:
    asked = preprocessing_of(network)
    return None if asked is None else (asked.mean, asked.std)


def _checked_normalisation(given: object) -> tuple[Triple, Triple] | None:
    if given is None:
        return None
    try:
        return _NORMALISATION.validate_python(given)
    except ValidationError as error:
        raise InputError(
            "normalisation must be the mean and the standard deviation of each channel, such as "
            f"((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)): {first_error(error)}"
        ) from None


def _weights_hash(module: nn.Module) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

"""`wh.compress`: any classifier, compressed from where it is, yields a card."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from winninghand.cards import Card, architecture_metadata
from winninghand.compression import Scope
from winninghand.images import ImageSet
from winninghand.recipe import make_recipe
from winninghand.training.run import Run
from winninghand.training.statistics import Triple


def compress(
    module: nn.Module,
    images: ImageSet,
    method: str = "lrr",
    sparsity: float = 0.9,
    scope: Scope = "global",
    epochs: int = 30,
    out: Path | str | None = None,
    *,
    domain: str | dict[str, Any] = "clean",
    seed: int = 0,
    exclude: Collection[str] = (),
    train_first: bool = False,
    normalisation: tuple[Triple, Triple] | None = None,
    compression: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
) -> Card:
    """Compress any classifier and return its card; the module itself is left as it is.

    `module` maps float images (N, 3, H, W), normalised by `normalisation` (mean and standard
    std per channel, in units of [0, 1]; measured on the training images where None), to
    logits (N, classes). It is compressed from its present weights; `train_first` trains it once
    before anything is pruned, as a freshly initialised one needs. `epochs` are per phase.
    `exclude` names modules or weights to leave alone; frozen ones are left alone too.
    `compression` and `training` hold further keys of those tables of a recipe.

    The folder `out` works as in `wh.train`. Raises `InputError` for a network without prunable
    weights, a wrong number of classes and whatever a recipe would be refused for.
    """
    recipe = make_recipe(
        {
            "network": architecture_metadata(module) or {"name": type(module).__qualname__},
            "domain": domain,
            "seed": seed,
            "compression": {**(compression or {}), "method": method, "sparsity": sparsity, "scope": scope},
            "training": {**(training or {}), "epochs": epochs},
        },
        known_network=False,
    )
    network = copy.deepcopy(module)
    return Run(
        recipe,
        images,
        network,
        trained=not train_first,
        origin=_weights_hash(module),
        exclude=exclude,
        normalisation=normalisation,
    ).play(out)


def _weights_hash(module: nn.Module) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

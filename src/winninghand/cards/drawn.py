"""Weights that are a function of a seed: their file holds the seed and the masks, and no values.

Edge-popup and biprop never train their weights. A recipe's are drawn by the counter-based generator, so that
they can be drawn again. In the place of such a weight the file holds the mask, as zeros and ones, or for
biprop as zeros and the one magnitude. A hash of the weights tells whether they came out the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from winninghand.base.errors import LARGEST, InputError, first_error
from winninghand.base.randomness import seed_of
from winninghand.cards.metadata import CardMetadata
from winninghand.compression.init import Init, drawn_weight

_RULE: Final = "edge-popup-1"
# What a value takes in a file, about, and what the header says instead.
_FLOAT_BITS, _BINARY_BITS, _HEADER_BYTES = 24, 1, 200


class Drawn(BaseModel):
    """What a header says of drawn weights: the rule, its arguments, which weights, and their hash.

    Where no weights are named, all that are prunable are meant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str = _RULE
    seed: int = Field(ge=0, le=LARGEST)
    init: Init
    density: float = Field(gt=0, le=1)
    binary: bool
    weights: tuple[str, ...] | None = None
    digest: str


def without_drawn(
    metadata: CardMetadata, tensors: Mapping[str, Tensor], prefix: str
) -> tuple[dict[str, Any] | None, dict[str, Tensor]]:
    """Return what a header says of the drawn ones of a card's weights, and the tensors with masks for them.

    That is None where none is as its recipe draws it, or so few are that no file would be shorter. Names of
    weights are those of `tensors`, without the prefix."""
    asked = _asked(metadata)
    if asked is None:
        return None, dict(tensors)
    changed, weights = dict(tensors), []
    for name in metadata.prunable:
        mask = _mask_of(tensors[prefix + name], name, asked)
        if mask is not None:
            changed[prefix + name] = mask
            weights.append(name)
    found = {name: tensors[prefix + name] for name in weights}
    kept = sum(int(weight.count_nonzero()) for weight in found.values())
    if kept * (_BINARY_BITS if asked.binary else _FLOAT_BITS) < 8 * _HEADER_BYTES:
        return None, dict(tensors)
    named = None if len(weights) == len(metadata.prunable) else tuple(weights)
    drawn = asked.model_copy(update={"weights": named, "digest": _digest(found)})
    return drawn.model_dump(mode="json", exclude_none=True), changed


def with_drawn(
    header: object, metadata: CardMetadata, tensors: Mapping[str, Tensor], prefix: str
) -> dict[str, Tensor]:
    """Return a card's tensors with the weights that its header says are drawn, under their masks.

    Raises `InputError` for a header that says something else, and where the weights come out differently.
    """
    try:
        drawn = Drawn.model_validate(header)
    except ValidationError as error:
        raise InputError(f"what it says of drawn weights is damaged: {first_error(error)}") from error
    if drawn.rule != _RULE:
        raise InputError(f"its weights are drawn by a rule that is not known here, {drawn.rule!r}; upgrade")
    names = metadata.prunable if drawn.weights is None else drawn.weights
    if drawn.init == "keep" or not set(names) <= set(metadata.prunable):
        raise InputError("it names weights as drawn that are none")
    changed = dict(tensors)
    for name in names:
        mask = tensors[prefix + name]
        changed[prefix + name] = _under(mask, _full(name, mask, drawn), drawn.binary)
    if _digest({name: changed[prefix + name] for name in names}) != drawn.digest:
        raise InputError(
            "its drawn weights come out differently on this machine; save it again where it opens"
        )
    return changed


def _asked(metadata: CardMetadata) -> Drawn | None:
    """Return how a card's recipe draws weights; None for one that trains them, and for no recipe."""
    recipe = metadata.recipe
    if recipe is None or not metadata.draws_weights:
        return None
    compression = recipe["compression"]
    sparsity, seed = compression.get("sparsity"), recipe.get("seed")
    if not isinstance(sparsity, float | int) or not isinstance(seed, int):
        return None
    try:
        return Drawn(
            seed=seed_of(seed, "masks"),
            init=compression.get("init", "kaiming_normal"),
            density=1 - sparsity,
            binary=compression["method"] == "bp",
            digest="",
        )
    except ValidationError:  # a table that no recipe of this version writes
        return None


def _mask_of(weight: Tensor, name: str, drawn: Drawn) -> Tensor | None:
    """Return a weight's mask, float32 of its shape; None for a weight that is not drawn so."""
    if drawn.init == "keep" or weight.dtype != torch.float32 or weight.ndim < 2 or not bool(weight.any()):
        return None
    mask = weight.abs() if drawn.binary else (weight != 0).float()
    values = mask[mask != 0]
    alike = bool((values == values[0]).all())
    if not alike or not torch.equal(_under(mask, _full(name, weight, drawn), drawn.binary), weight):
        return None
    return mask


def _full(name: str, like: Tensor, drawn: Drawn) -> Tensor:
    return drawn_weight(name, like.shape, drawn.init, drawn.density, drawn.seed)


def _under(mask: Tensor, full: Tensor, binary: bool) -> Tensor:
    """Return a drawn weight under its mask; what is pruned is +0."""
    return torch.where(mask != 0, torch.copysign(mask, full) if binary else full, 0.0)


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, weight in weights.items():
        digest.update(name.encode())
        digest.update(weight.contiguous().numpy().tobytes())
    return digest.hexdigest()

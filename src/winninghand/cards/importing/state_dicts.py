"""A stranger's state dict taken apart: its networks, their normalisation, masks and scores."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.cards.importing.checkpoint import StateDict
from winninghand.cards.metadata import Triple, as_triple
from winninghand.compression import Scope
from winninghand.compression.budget import kept_count
from winninghand.compression.kernels import keep_largest

# What wrapping modules put before a network's own names: DataParallel, torch.compile, RobustBench's
# normalisation, and habit.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
_MEMBER = re.compile(r"models\.([0-9]{1,4})\.(.+)")
_MOST_PREFIXES, _MOST_NETWORKS = 16, 256

# What an average of weights counts, beside the weights: torch.optim.swa_utils.AveragedModel.
_COUNTERS = ("n_averaged",)

# Names under which normalisation lies beside a network: RobustBench's classes and its wrapper.
_MEANS, _STDS = ("mu", "normalize.mean", "mean"), ("sigma", "normalize.std", "std")

_SCORES = ".scores"


@dataclass(frozen=True)
class Subnetwork:
    """How scores beside the weights were meant: edge-popup or biprop, sparsity and scope."""

    method: Literal["ep", "bp"]
    sparsity: float
    scope: Scope = "global"

    def __post_init__(self) -> None:
        if self.method not in ("ep", "bp") or self.scope not in ("global", "layerwise"):
            raise InputError(
                f"scores are of ep or bp, global or layerwise, not {self.method!r}, {self.scope!r}"
            )
        if not 0 <= self.sparsity < 1:
            raise InputError(f"the sparsity that scores are for must be in [0, 1), not {self.sparsity}")


def split_state_dict(weights: StateDict) -> list[StateDict]:
    """Return the weights of each network of a state dict, in the order of their numbers.

    Keys `models.0.` … are those of a deck; what lies beside them belongs to all of its networks. Raises
    `InputError` for names that become the same without their prefixes.
    """
    shared: StateDict = {}
    numbered: dict[int, StateDict] = defaultdict(dict)
    for name, tensor in weights.items():
        bare = _bare(name)
        member = _MEMBER.fullmatch(bare)
        place, own = (numbered[int(member[1])], _bare(member[2])) if member else (shared, bare)
        if own in place:
            raise InputError(f"two of its tensors are named {own!r} once wrappers' prefixes are taken off")
        if own not in _COUNTERS:
            place[own] = tensor
    if len(numbered) > _MOST_NETWORKS:
        raise InputError(f"it holds {len(numbered)} networks; a deck has at most {_MOST_NETWORKS} cards")
    if not numbered:
        return [shared]
    return [shared | numbered[number] for number in sorted(numbered)]


def take_normalisation(weights: StateDict) -> tuple[Triple, Triple] | None:
    """Take mean and std, three numbers each, out of a network's weights; None where they are absent."""
    mean = _taken_triple(weights, _MEANS)
    std = _taken_triple(weights, _STDS)
    if mean is None or std is None:
        return None
    return mean, std


def _bare(name: str) -> str:
    for _ in range(_MOST_PREFIXES):
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            return name
        name = name.removeprefix(prefix)
    raise InputError(f"a name in it has more than {_MOST_PREFIXES} prefixes of wrappers")


def _taken_triple(weights: StateDict, names: tuple[str, ...]) -> Triple | None:
    found = [weights.pop(name) for name in names if name in weights]
    return as_triple(found[0]) if found and found[0].numel() == 3 else None


def apply_masks(weights: StateDict, values: Mapping[str, Any], subnetwork: Subnetwork | None) -> StateDict:
    """Return weights with zeros where masks have them, and without the masks and scores.

    Masks are those of `torch.nn.utils.prune` (`weight_orig`, `weight_mask`) and of OpenLTH
    (`mask_layer___weight`). Scores (`layer.scores`) are those of edge-popup (Ramanujan et al. 2020)
    and biprop (Diffenderfer & Kailkhura 2021); they say nothing where the weights hold zeros
    already, as in RobustBench's binary cards. Otherwise they need a `subnetwork`, or the
    `conv_type` and `prune_rate` that biprop saves among its `values`. Raises `InputError` without.
    """
    result = _masked(weights)
    scores = {
        name.removesuffix(_SCORES) + ".weight": result.pop(name) for name in weights if name.endswith(_SCORES)
    }
    scores = {name: score.float() for name, score in scores.items() if _goes_with(result, name, score)}
    if not scores or (subnetwork is None and _has_zeros(result, scores)):
        return result
    meant = subnetwork or _saved_by_biprop(values)
    if meant is None:
        raise InputError(
            f"it holds scores, such as those of {next(iter(scores))!r}, but not which of them count; "
            "say so with --scores ep|bp, --sparsity and --scope"
        )
    for name, score in scores.items():
        if not bool(score.isfinite().all()):
            raise InputError(f"its scores of {name!r} hold values that are NaN or infinite")
    masks = _chosen(scores, meant)
    return result | {name: _kept(result[name], mask, meant.method) for name, mask in masks.items()}


def with_masks(weights: StateDict, masks: StateDict) -> StateDict:
    """Return weights with the masks of another file beside them, each under the name of its weight.

    Raises `InputError` for a mask whose weight is absent.
    """
    result = dict(weights)
    for name, mask in masks.items():
        if name not in weights:
            raise InputError(
                f"the file of masks has one of {name!r}, which it does not hold; give its own masks"
            )
        beside = "mask_" + name.replace(".", "___")
        result[beside] = mask
    return result


def _masked(weights: StateDict) -> StateDict:
    result = dict(weights)
    for name in weights:
        if name.endswith("_mask"):
            pruned, kept = name.removesuffix("_mask") + "_orig", name.removesuffix("_mask")
        else:
            pruned = kept = name.removeprefix("mask_").replace("___", ".")
        if pruned != name and _goes_with(result, pruned, result[name]):
            if not bool(((result[name] == 0) | (result[name] == 1)).all()):
                raise InputError(f"its mask of {kept!r} holds other values than 0 and 1")
            result[kept] = result.pop(pruned) * result.pop(name)
    return result


def _goes_with(weights: StateDict, name: str, beside: Tensor) -> bool:
    """Tell whether a mask or scores belong to a weight; `InputError` where they are of another shape."""
    if name not in weights:
        return False
    if weights[name].shape != beside.shape:
        raise InputError(
            f"{name!r} is {tuple(weights[name].shape)} in it, and its mask or scores {tuple(beside.shape)}"
        )
    return True


def _has_zeros(weights: StateDict, names: Mapping[str, Tensor]) -> bool:
    return any(not bool(weights[name].all()) for name in names)


def _saved_by_biprop(values: Mapping[str, Any]) -> Subnetwork | None:
    """Return what biprop's own checkpoints say; their `prune_rate` is the fraction that is kept."""
    scopes: dict[str, Scope] = {"SubnetConv": "layerwise", "GlobalSubnetConv": "global"}
    match values:
        case {"conv_type": str(kind), "prune_rate": float(density)} if kind in scopes and 0 < density <= 1:
            return Subnetwork("bp", 1 - density, scopes[kind])
    return None


def _chosen(scores: StateDict, meant: Subnetwork) -> StateDict:
    """Return masks of the largest |scores|; a layer's own count is rounded up, as the methods' code does."""
    if meant.scope == "global":
        count = kept_count(sum(score.numel() for score in scores.values()), meant.sparsity)
        if count == 0:
            raise InputError(f"a sparsity of {meant.sparsity} leaves no weight; give a lower one")
        return dict(zip(scores, keep_largest(list(scores.values()), count), strict=True))
    return {
        name: keep_largest([score], score.numel() - int(meant.sparsity * score.numel()))[0]
        for name, score in scores.items()
    }


def _kept(weight: Tensor, mask: Tensor, method: str) -> Tensor:
    """Return W⊙M, or α·sign(W)⊙M with α the mean magnitude of what is kept."""
    if method == "ep":
        return weight * mask
    alpha = weight[mask].abs().mean() if bool(mask.any()) else torch.zeros(())
    return alpha * weight.sign() * mask

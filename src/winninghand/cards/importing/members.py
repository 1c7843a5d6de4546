"""The networks in one state dict, under their own parameter names."""

from __future__ import annotations

import re
from collections import defaultdict

from winninghand.cards.importing.checkpoint import Weights
from winninghand.cards.metadata import Triple

# What wrapping modules put before a network's own names: DataParallel, torch.compile, RobustBench's
# normalisation, and habit.
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
_MEMBER = re.compile(r"models\.(\d+)\.(.+)")

# Names under which normalisation lies beside a network: RobustBench's classes and its wrapper.
_MEANS, _DEVIATIONS = ("mu", "normalize.mean", "mean"), ("sigma", "normalize.std", "std")


def members_of(weights: Weights) -> list[Weights]:
    """Return the weights of each network of a state dict, in the order of their numbers.

    Keys `models.0.` … are those of a deck; what lies beside them belongs to all of its networks.
    """
    shared: Weights = {}
    numbered: dict[int, Weights] = defaultdict(dict)
    for name, tensor in weights.items():
        bare = _bare(name)
        member = _MEMBER.fullmatch(bare)
        if member:
            numbered[int(member[1])][_bare(member[2])] = tensor
        else:
            shared[bare] = tensor
    if not numbered:
        return [shared]
    return [shared | numbered[number] for number in sorted(numbered)]


def take_normalisation(weights: Weights) -> tuple[Triple, Triple] | None:
    """Take mean and standard deviation, three numbers each, out of a network's weights; None where absent."""
    mean = _taken(weights, _MEANS)
    std = _taken(weights, _DEVIATIONS)
    if mean is None or std is None:
        return None
    return mean, std


def _bare(name: str) -> str:
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
    return name if prefix is None else _bare(name.removeprefix(prefix))


def _taken(weights: Weights, names: tuple[str, ...]) -> Triple | None:
    found = [weights.pop(name) for name in names if name in weights]
    if not found or found[0].numel() != 3:
        return None
    # Single precision knows some seven digits: 0.491 shall not become 0.4909999966621399.
    red, green, blue = (float(f"{value:.7g}") for value in found[0].flatten().tolist())
    return red, green, blue

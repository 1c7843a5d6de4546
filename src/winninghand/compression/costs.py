"""What a weight costs: the multiply-accumulates that it takes part in for one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torch import nn

from winninghand.compression.prunable import weight_names
from winninghand.networks.size import count_macs


def weight_costs(
    network: nn.Module, weights: Mapping[str, nn.Parameter], size: tuple[int, int]
) -> dict[str, int]:
    """Return the multiply-accumulates per weight of each layer, for one image of `size` (H, W).

    For a convolution that is the number of places it is applied at. A weight that two modules
    share costs what both of them do; one that no counted layer uses costs 1.
    """
    macs = count_macs(network, size)
    costs: Counter[int] = Counter()
    for path, part in network.named_modules():
        owned = [weight for name in weight_names(part) if (weight := getattr(part, name, None)) is not None]
        for weight in owned:
            costs[id(weight)] += round(macs.get(path, 0) / sum(other.numel() for other in owned))
    return {name: max(costs[id(weight)], 1) for name, weight in weights.items()}

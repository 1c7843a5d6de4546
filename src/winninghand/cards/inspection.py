"""What there is to know of a card's size: parameters, sparsity, multiply-accumulates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from winninghand.base.errors import counted, percent
from winninghand.cards.codec.mask import filled_by_pattern, kept_blocks
from winninghand.compression.prunable import weight_costs
from winninghand.networks import count_macs


@dataclass(frozen=True)
class Layer:
    """One prunable weight; `kept_blocks` of its blocks of four inputs hold something, None without blocks."""

    name: str
    shape: tuple[int, ...]
    nonzero: int
    kept_blocks: int | None = None

    @property
    def size(self) -> int:
        """How many weights it has, pruned ones included."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def sparsity(self) -> float:
        """Fraction of it that is zero."""
        return 1 - self.nonzero / self.size


@dataclass(frozen=True)
class Inspection:
    """The counts of one network: all parameters, the non-zero ones among them, the prunable weights."""

    parameters: int
    nonzero: int
    layers: tuple[Layer, ...]

    def __repr__(self) -> str:
        counts = f"{self.parameters:,} parameters, {self.nonzero:,} not zero"
        return (
            f"Inspection({counts}, sparsity {percent(self.sparsity)}, {counted(len(self.layers), 'layer')})"
        )

    @classmethod
    def of(cls, network: nn.Module, prunable: Iterable[str]) -> Inspection:
        """Count a network's parameters; `prunable` names the weights that pruning may zero."""
        parameters = dict(network.named_parameters())
        return cls(
            parameters=sum(parameter.numel() for parameter in parameters.values()),
            nonzero=sum(int(parameter.count_nonzero()) for parameter in parameters.values()),
            layers=tuple(_counted(name, parameters[name]) for name in prunable),
        )

    @property
    def in_blocks(self) -> bool:
        """Whether most of the weights that are pruned lie in layers that are kept by blocks of four inputs.

        A head that was left alone need not have them.
        """
        pruned = [layer for layer in self.layers if layer.kept_blocks is not None and layer.sparsity > 0]
        blocked = [
            layer
            for layer in pruned
            if not layer.kept_blocks or filled_by_pattern(layer.nonzero, layer.size, layer.kept_blocks)
        ]
        return sum(layer.size for layer in pruned) < 2 * sum(layer.size for layer in blocked)

    @property
    def sparsity(self) -> float:
        """Fraction of the prunable weights that is zero."""
        total = sum(layer.size for layer in self.layers)
        return 1 - sum(layer.nonzero for layer in self.layers) / total if total else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {
            "parameters": self.parameters,
            "nonzero": self.nonzero,
            "sparsity": self.sparsity,
            "layers": [
                {
                    "name": layer.name,
                    "shape": list(layer.shape),
                    "nonzero": layer.nonzero,
                    "kept_blocks": layer.kept_blocks,
                    "sparsity": layer.sparsity,
                }
                for layer in self.layers
            ],
        }


def _counted(name: str, weight: Tensor) -> Layer:
    mask = (weight.detach() != 0).cpu().contiguous().reshape(-1).numpy()
    shape = tuple(weight.shape)
    return Layer(name, shape, int(mask.sum()), kept_blocks(mask, shape))


@dataclass(frozen=True)
class Work:
    """Multiply-accumulates that a network does for one image: see `networks.count_macs`.

    `macs` are all, `nonzero` those of weights that are not zero, and `layers` those of each prunable weight,
    its zeros included.
    """

    macs: int
    nonzero: int
    layers: Mapping[str, int]

    @classmethod
    def of(cls, network: nn.Module, counts: Inspection, size: tuple[int, int]) -> Work:
        """Count by running the network once or twice on an image of `size` (height, width)."""
        total = sum(count_macs(network, size).values())
        weights = {layer.name: network.get_parameter(layer.name) for layer in counts.layers}
        costs = weight_costs(network, weights, size)
        spared = sum(costs[layer.name] * (layer.size - layer.nonzero) for layer in counts.layers)
        layers = {layer.name: costs[layer.name] * layer.size for layer in counts.layers}
        return cls(total, max(total - spared, 0), layers)

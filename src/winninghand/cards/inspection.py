"""What there is to know of a card's size: parameters, sparsity, multiply-accumulates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from winninghand.base.errors import counted, percent
from winninghand.compression.prunable import weight_costs
from winninghand.networks import count_macs


@dataclass(frozen=True)
class Layer:
    """One prunable weight."""

    name: str
    shape: tuple[int, ...]
    nonzero: int

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
            layers=tuple(
                Layer(name, tuple(parameters[name].shape), int(parameters[name].count_nonzero()))
                for name in prunable
            ),
        )

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
                    "sparsity": layer.sparsity,
                }
                for layer in self.layers
            ],
        }


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

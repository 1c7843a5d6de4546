"""What there is to know of a card's size: parameters, sparsity, bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn


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

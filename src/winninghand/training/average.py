"""The moving average of a network's weights over the steps of its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of weights and running statistics (Polyak & Juditsky 1992).

    Each step moves it towards the network by 1 − `decay`, and by more at first, 9 / (10 + steps),
    so that a short training does not keep what it started from. It lies on the network's device, and
    no step waits for the host, as one of torch's `AveragedModel` does.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        # These share their memory with the network, which is trained in place.
        self._live = {
            name: value for name, value in network.state_dict().items() if value.is_floating_point()
        }
        self._averages = {name: value.clone() for name, value in self._live.items()}
        self._parameters = {name for name, _ in network.named_parameters()}
        self._steps = 0

    @torch.no_grad()
    def after_step(self) -> None:
        """Take in the network's present weights."""
        share = max(1 - self._decay, 9 / (10 + self._steps))
        torch._foreach_lerp_(list(self._averages.values()), list(self._live.values()), share)
        self._steps += 1

    @property
    def statistics(self) -> list[Tensor]:
        """The averages of what is no parameter, such as running means."""
        return [value for name, value in self._averages.items() if name not in self._parameters]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the network the averages for a while."""
        kept = {name: value.clone() for name, value in self._live.items()}
        self.to_network()
        try:
            yield
        finally:
            _copy(kept, self._live)

    def to_network(self) -> None:
        """Give the network the averages."""
        _copy(self._averages, self._live)

    def state_dict(self) -> dict[str, Any]:
        """Return averages and steps, for a checkpoint."""
        return {"averages": self._averages, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` returned."""
        self._steps = state["steps"]
        _copy(state["averages"], self._averages)


@torch.no_grad()
def _copy(values: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> None:
    for name, target in targets.items():
        target.copy_(values[name])

"""The draw of a network's first weights, from torch's global random state."""

from __future__ import annotations

from typing import Literal

from torch import nn


def kaiming_normal(
    module: nn.Module, mode: Literal["fan_in", "fan_out"], kinds: tuple[type[nn.Module], ...] = (nn.Conv2d,)
) -> None:
    """Draw the weights of every layer of `kinds` from N(0, 2/fan) and set its bias to zero, in place.

    He et al. 2015, arXiv:1502.01852, section 2.2: `fan_in` keeps the variance of activations,
    `fan_out` that of gradients.
    """
    for layer in module.modules():
        if isinstance(layer, kinds):
            nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

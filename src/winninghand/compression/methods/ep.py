"""`ep`: edge-popup (Ramanujan et al. 2020, arXiv:1911.13299)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from winninghand.compression.budget import Budget
from winninghand.compression.drawing import draw_scores, draw_weights
from winninghand.compression.masks import Masks
from winninghand.compression.method import Method, Start
from winninghand.compression.phase import Phase
from winninghand.compression.popup import PopupMasks
from winninghand.compression.prunable import prunable_weights
from winninghand.compression.ramp import Ramp
from winninghand.compression.settings import Compression

_FIRST_SPARSITY = 0.5


class EdgePopup(Method):
    """Find a subnetwork of random weights that are never trained: one phase, scores are trained instead."""

    name: ClassVar[str] = "ep"
    binary: ClassVar[bool] = False

    def plan(self, settings: Compression, epochs: int, start: Start) -> tuple[Phase, ...]:
        """Return the one phase; sparsities above 50% are come to from there, lest a layer empties."""
        ramp = None
        if settings.sparsity > _FIRST_SPARSITY:
            ramp = Ramp(_FIRST_SPARSITY, 0.0, min(settings.ramp_epochs / epochs, 0.5))
        return (Phase(epochs, settings.sparsity, ramp=ramp),)

    def masks(
        self,
        network: nn.Module,
        weights: dict[str, nn.Parameter],
        budget: Budget,
        settings: Compression,
        start: Start,
        seed: int,
    ) -> Masks:
        """Return masks by scores; weights are redrawn, and norms and biases rest, unless settings say else.

        Weights that were excluded from pruning are trained in any case.
        """
        generator = torch.Generator().manual_seed(seed)
        draw_weights(weights, settings.init, 1 - settings.sparsity, generator)
        trained = [] if not settings.train_norm else list(network.parameters())
        moving = {id(parameter) for parameter in (*trained, *prunable_weights(network).values())}
        resting = [
            parameter
            for parameter in network.parameters()
            if parameter.requires_grad and id(parameter) not in moving
        ]
        scores, drawn = draw_scores(weights, generator), settings.init != "keep"
        return PopupMasks(network, weights, scores, budget, self.binary, resting, drawn)

    def respects_zeros(self, settings: Compression) -> bool:
        """Say whether the weights are kept, and their zeros with them."""
        return settings.init == "keep"

"""`average`: the domain-agnostic deck, which plays every card on every image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.decks.gate import Gate, GateSettings, Inputs
from winninghand.spectra import SpectralProfile


class Average(Gate):
    """Equal weights."""

    name: ClassVar[str] = "average"
    needs_profiles: ClassVar[bool] = False
    inputs: ClassVar[Inputs | None] = None

    def __init__(self, profiles: Sequence[SpectralProfile | None], settings: GateSettings) -> None:
        super().__init__(profiles, settings)
        self.cards = len(profiles)
        if settings.max_active is not None and settings.max_active < self.cards:
            raise InputError(
                f"the gate 'average' plays all {self.cards} cards; for at most {settings.max_active} "
                "choose another gate or give fewer cards"
            )

    def forward(self, images: Tensor) -> Tensor:
        """Return 1 / cards everywhere, without a look at the images."""
        return images.new_full((len(images), self.cards), 1 / self.cards, dtype=torch.float32)

    def weigh(self, seen: Tensor) -> Tensor:
        """Return 1 / cards everywhere."""
        return seen.new_full((len(seen), self.cards), 1 / self.cards)

"""`average`: the domain-agnostic deck, which plays every card on every image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from winninghand.decks.gate import GATES, Gate
from winninghand.spectra import SpectralProfile


class Average(Gate):
    """Equal weights."""

    name: ClassVar[str] = "average"
    needs_profiles: ClassVar[bool] = False

    def weights(self, images: Tensor, profiles: Sequence[SpectralProfile]) -> Tensor:
        """Return 1 / cards everywhere."""
        return images.new_full((len(images), len(profiles)), 1 / len(profiles))


GATES.register(Average.name)(Average())

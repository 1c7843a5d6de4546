"""`spectral_image`: each image is played to the cards of the training domain nearest to itself."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from winninghand.decks.gate import DomainGate


class SpectralImage(DomainGate):
    """One choice per image; the batch it comes in makes no difference."""

    name: ClassVar[str] = "spectral_image"

    def weigh(self, seen: Tensor) -> Tensor:
        """Return each image's own row."""
        return self.cards_of_best_domain(seen)

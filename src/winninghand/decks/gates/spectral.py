"""`spectral`: the domain-adaptive deck, which plays the cards of the nearest training domain."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from winninghand.decks.gate import DomainGate


class Spectral(DomainGate):
    """One choice for the whole batch, by its mean spectrum (Diffenderfer et al. 2021)."""

    name: ClassVar[str] = "spectral"
    batch_matters: ClassVar[bool] = True

    def weigh(self, spectra: Tensor) -> Tensor:
        """Return the same row for every image of the batch."""
        return self.cards_of_best_domain(spectra.mean(dim=0, keepdim=True)).expand(len(spectra), -1)

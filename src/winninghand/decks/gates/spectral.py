"""`spectral`: the domain-adaptive deck, which plays the cards of the nearest training domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from winninghand.decks.gate import GATES, Gate
from winninghand.spectra import SpectralProfile, log_spectra

# Two profiles closer than this, in squared spreads, are of one domain: seeds of a domain differ
# by some 10⁻³, domains by more than 10⁻¹.
_SAME_DOMAIN = 0.01


class Spectral(Gate):
    """One choice for the whole batch: equal weights on the cards whose domain is nearest to it.

    The distance is the mean over frequencies of the squared difference between the batch's mean
    log-amplitude and the profile's, in units of the profile's spread (Diffenderfer et al. 2021,
    section on domain-adaptive decks, which leaves the norm open).
    """

    name: ClassVar[str] = "spectral"

    def weights(self, images: Tensor, profiles: Sequence[SpectralProfile]) -> Tensor:
        """Return the same row for every image of the batch."""
        batch = log_spectra(images).mean(dim=0)
        means = torch.stack([profile.mean for profile in profiles]).to(batch)
        spreads = torch.stack([profile.spread for profile in profiles]).to(batch)
        spread = spreads.square().mean(dim=0)
        nearest = ((means - batch).square() / spread).mean(dim=(1, 2)).argmin()
        same_domain = ((means - means[nearest]).square() / spread).mean(dim=(1, 2)) < _SAME_DOMAIN
        row = same_domain / same_domain.sum()
        return row.to(images.dtype).expand(len(images), -1)


GATES.register(Spectral.name)(Spectral())

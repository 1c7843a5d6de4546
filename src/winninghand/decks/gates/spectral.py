"""`spectral`: the domain-adaptive deck, which plays the cards of the nearest training domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from winninghand.decks.gate import (
    LEAST_SPREAD,
    SOFTNESS,
    AdaptiveSettings,
    DomainGate,
    GateSettings,
    SpectralScores,
)
from winninghand.spectra import SpectralProfile

Amplitude = Literal["log", "linear"]
Distance = Literal["l2", "l1", "cosine"]

# Beyond these no spectrum of images can be: a logarithm is at most 10 for images of 8,192 pixels a side.
_MOST_LOG, _MOST_SPREAD = 20.0, 3.0


class SpectralSettings(AdaptiveSettings):
    """How the paper's words are read, for it leaves these open; the defaults are this library's reading.

    `amplitude`: whether amplitudes are compared, and averaged over a batch, as logarithms or as they are.
    `distance` from a spectrum to a domain's profile: the mean squared (`l2`) or absolute (`l1`) difference,
    or one minus the cosine, all in units of the spread. `batch`: how many images' mean spectrum decides for
    these images; None is all of the batch that is given. Only the default amplitude and distance can be
    fitted.
    """

    amplitude: Amplitude = "log"
    distance: Distance = "l2"
    batch: PositiveInt | None = None

    @property
    def fits(self) -> bool:
        """Whether the reading is the default one."""
        return (self.amplitude, self.distance) == ("log", "l2")

    @model_validator(mode="after")
    def _fitted_is_one_reading(self) -> SpectralSettings:
        if self.scores is not None and not self.fits:
            raise ValueError(
                "what was fitted goes by log amplitudes and by no distance; give scores=None, or leave "
                "amplitude and distance out"
            )
        return self


class Spectral(DomainGate):
    """One choice for the whole batch, by its mean spectrum (after Diffenderfer et al. 2021)."""

    name: ClassVar[str] = "spectral"
    settings_type: ClassVar[type[GateSettings]] = SpectralSettings
    batch_matters: ClassVar[bool] = True

    def __init__(self, profiles: Sequence[SpectralProfile | None], settings: GateSettings) -> None:
        super().__init__(profiles, settings)
        assert isinstance(settings, SpectralSettings)
        assert isinstance(self.scores, SpectralScores)
        known = [profile for profile in profiles if profile is not None]
        self._batch, self._linear = settings.batch, settings.amplitude == "linear"
        reading = settings.amplitude, settings.distance
        self._reading = None if settings.fits else Reading(known, *reading)

    def weigh(self, seen: Tensor) -> Tensor:
        """Return the same row for every image of the batch, or of each `batch` images of it."""
        seen = seen.exp() if self._linear else seen
        size, count = self._batch, len(seen)
        if size is None or size >= count:
            return self.cards_of_best_domain(seen.mean(dim=0, keepdim=True)).expand(count, -1)
        means = torch.cat([part.mean(dim=0, keepdim=True) for part in seen.split(size)])
        return self.cards_of_best_domain(means).repeat_interleave(size, dim=0)[:count]

    def domain_scores(self, spectra: Tensor) -> Tensor:
        """Return the mean score (N, domains) of each domain's cards, as the paper is read."""
        if self._reading is None:
            return super().domain_scores(spectra)
        assert isinstance(self.scores, SpectralScores)
        return self.card_scores(spectra) @ self.scores.domains

    def card_scores(self, spectra: Tensor) -> Tensor:
        """Return the score (N, cards) of each card, as the paper is read."""
        scores: Tensor = super().card_scores(spectra) if self._reading is None else self._reading(spectra)
        return scores


class Reading(nn.Module):
    """Minus the distances from spectra to profiles, in units of the spread, divided by a constant.

    Profiles hold logarithms alone. Where amplitudes are `linear`, mean and spread are those of the
    log-normal distribution of the same logarithms, the amplitude being the geometric mean over channels.
    """

    means: Tensor
    spread: Tensor

    def __init__(self, profiles: Sequence[SpectralProfile], amplitude: Amplitude, distance: Distance) -> None:
        super().__init__()
        means = torch.stack([profile.mean for profile in profiles]).flatten(1)
        spreads = torch.stack([profile.spread for profile in profiles]).flatten(1).clamp_min(LEAST_SPREAD)
        if amplitude == "linear":
            means, spreads = linear_moments(means, spreads)
        self._distance = distance
        spread = spreads.square().mean(dim=0).sqrt()
        self.register_buffer("means", means / spread, persistent=False)
        self.register_buffer("spread", spread, persistent=False)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return scores (N, cards) of spectra (N, …), as logarithms or as they are."""
        scaled = spectra.flatten(1) / self.spread
        if self._distance == "cosine":
            # So scaled it is the squared difference of spectra of one length, comparable to the others.
            lengths = self.means.square().mean(dim=1).mean()
            away = 1 - functional.cosine_similarity(scaled[:, None], self.means, dim=2)
            return -2 * lengths * away / SOFTNESS
        differences = scaled[:, None] - self.means
        powers = differences.square() if self._distance == "l2" else differences.abs()
        return -powers.mean(dim=2) / SOFTNESS


def linear_moments(means: Tensor, spreads: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and spread of values whose logarithms are normal with these."""
    variances = spreads.clamp_max(_MOST_SPREAD).square()
    linear = (means.clamp_max(_MOST_LOG) + variances / 2).exp()
    return linear, linear * variances.expm1().sqrt()

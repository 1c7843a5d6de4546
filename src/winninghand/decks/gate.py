"""What a gate is: scores of cards for spectra, and the weights of cards for images made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt, ValidationError
from torch import Tensor, nn

from winninghand.base import catalog
from winninghand.base.errors import InputError, first_error
from winninghand.base.registry import Registry
from winninghand.spectra import SpectralProfile, log_spectra
from winninghand.spectra.profile import RINGS, ring_averages

# Two profiles whose mean squared difference, in units of the spread, is below this are of one domain.
# Seeds of one domain differ by about 10⁻³, domains by more than 10⁻¹.
_SAME_DOMAIN = 0.01

# Distances of single images are noisy, so differences of distances are divided by 4. (Weights of two
# small CIFAR-10 cards closed 74% of the way to the oracle when divided by 2, 97% when divided by 5.)
_SOFTNESS = 4.0

# The least spread that differences are divided by. Where all images of a set agree, as in the margin of
# digits, a small difference would otherwise count without limit.
_LEAST_SPREAD = 0.05


# Within this, a score is a number of single precision.
Number = Annotated[FiniteFloat, Field(ge=-1e12, le=1e12)]


class FittedScores(BaseModel):
    """Scores fitted on images: per card a slope for each ring of the shift, and an offset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slopes: tuple[tuple[Number, ...], ...]
    offsets: tuple[Number, ...]


class Scores(nn.Module):
    """The score of each card for each image's log-amplitude spectrum; the highest suits best.

    Unfitted, a score is minus the distance from the spectrum to the profile of the card's domain. The
    distance is the mean over frequencies of the squared difference in units of the spread (Diffenderfer
    et al. 2021 leave the norm open), divided by a constant; a term that all cards share is left out.
    Fitted, a score is linear in the shift of the spectrum from the clean profile, averaged over rings.
    """

    slope: Tensor
    offset: Tensor
    domains: Tensor

    def __init__(self, profiles: Sequence[SpectralProfile], fitted: FittedScores | None) -> None:
        super().__init__()
        slope, offset = _distances(profiles) if fitted is None else _fitted(profiles, fitted)
        self.register_buffer("slope", slope, persistent=False)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("domains", _domains(profiles), persistent=False)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return scores (N, cards) of spectra (N, rows, columns)."""
        return torch.addmm(self.offset, spectra.flatten(1), self.slope)


def ring_shifts(spectra: Tensor, profiles: Sequence[SpectralProfile]) -> Tensor:
    """Return the shift of spectra (…, rows, columns) from the clean profile, by ring (…, RINGS).

    The unit is the spread over clean images. Raises `InputError` where a card lacks the clean profile.
    """
    mean, spread = _clean(profiles)
    return ((spectra - mean) / spread).flatten(-2) @ ring_averages(*mean.shape)


def _distances(profiles: Sequence[SpectralProfile]) -> tuple[Tensor, Tensor]:
    means, variance = _means_and_variance(profiles)
    scaled = 2 * means / variance / means[0].numel() / _SOFTNESS
    return scaled.flatten(1).T.contiguous(), -(scaled * means).sum(dim=(1, 2)) / 2


def _fitted(profiles: Sequence[SpectralProfile], fitted: FittedScores) -> tuple[Tensor, Tensor]:
    shape = [len(row) for row in fitted.slopes]
    if shape != [RINGS] * len(profiles) or len(fitted.offsets) != len(profiles):
        raise InputError(f"the gate was fitted for {len(shape)} other cards; fit it again")
    mean, spread = _clean(profiles)
    by_ring = torch.tensor(fitted.slopes, dtype=torch.float32).T
    slope = ring_averages(*mean.shape) @ by_ring / spread.flatten()[:, None]
    return slope.contiguous(), torch.tensor(fitted.offsets, dtype=torch.float32) - mean.flatten() @ slope


def _clean(profiles: Sequence[SpectralProfile]) -> tuple[Tensor, Tensor]:
    """Return mean and spread of the clean images, averaged over the cards' training sets."""
    clean = [profile.clean for profile in profiles if profile.clean is not None]
    if len(clean) < len(profiles):
        number = next(number for number, profile in enumerate(profiles, start=1) if profile.clean is None)
        raise InputError(
            f"card {number} does not know what clean images look like (its file is older than that); "
            "train it again, or use the gate 'spectral' unfitted"
        )
    spread = torch.stack([one.spread for one in clean]).mean(dim=0).clamp_min(_LEAST_SPREAD)
    return torch.stack([one.mean for one in clean]).mean(dim=0), spread


def _domains(profiles: Sequence[SpectralProfile]) -> Tensor:
    """Return the matrix (cards, domains) that averages over the cards of each domain."""
    means, variance = _means_and_variance(profiles)
    distances = ((means[:, None] - means).square() / variance).mean(dim=(2, 3))
    # The first card that is near enough stands for the domain.
    first = (distances < _SAME_DOMAIN).float().argmax(dim=1)
    members = torch.nn.functional.one_hot(first.unique(return_inverse=True)[1]).float()
    return members / members.sum(dim=0)


def _means_and_variance(profiles: Sequence[SpectralProfile]) -> tuple[Tensor, Tensor]:
    means = torch.stack([profile.mean for profile in profiles])
    spreads = torch.stack([profile.spread for profile in profiles])
    return means, spreads.square().mean(dim=0).clamp_min(_LEAST_SPREAD**2)


class GateSettings(BaseModel):
    """The settings of a gate, and what was fitted; the deck's file holds both.

    At most `max_active` cards are played on an image; None is no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    max_active: PositiveInt | None = None
    scores: FittedScores | None = None


class Gate(nn.Module, ABC):
    """Chooses cards for a batch of images, by the images alone.

    Called with float images (N, 3, H, W) in [0, 1] it gives the weight of each card for each
    image, float32 (N, cards), rows summing to 1. A card of weight 0 is not played.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[GateSettings]] = GateSettings
    needs_profiles: ClassVar[bool] = True
    batch_matters: ClassVar[bool] = False
    """Whether an image's weights depend on which batch it is in."""

    def __init__(self, profiles: Sequence[SpectralProfile | None], settings: GateSettings) -> None:
        super().__init__()
        self.settings = settings
        known = [profile for profile in profiles if profile is not None]
        self.scores = Scores(known, settings.scores) if self.needs_profiles else None

    def forward(self, images: Tensor) -> Tensor:
        """Return the weights for a batch of images, in single precision under autocast too."""
        device = images.device.type
        if not torch.is_autocast_enabled(device):
            return self.weigh(log_spectra(images))
        with torch.autocast(device, enabled=False):
            return self.weigh(log_spectra(images))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Gate:
        """Move the gate; it stays in single precision, which faint frequencies need."""
        moved = lambda tensor: tensor.to(fn(tensor).device)  # noqa: E731
        return super()._apply(moved, recurse)  # type: ignore[no-untyped-call, no-any-return]

    @abstractmethod
    def weigh(self, spectra: Tensor) -> Tensor:
        """Return the weights (N, cards) for the log-amplitude spectra (N, rows, columns) of one batch."""

    def reset(self) -> None:
        """Forget earlier batches; only a gate for streams remembers any."""


class DomainGate(Gate):
    """A gate that plays, in equal shares, the cards of the one domain whose mean score is best."""

    slope: Tensor
    offset: Tensor
    shares: Tensor

    def __init__(self, profiles: Sequence[SpectralProfile | None], settings: GateSettings) -> None:
        super().__init__(profiles, settings)
        assert self.scores is not None
        domains = self.scores.domains
        members = (domains > 0).T.float()
        self.register_buffer("slope", self.scores.slope @ domains, persistent=False)
        self.register_buffer("offset", self.scores.offset @ domains, persistent=False)
        self.register_buffer("shares", members / members.sum(dim=1, keepdim=True), persistent=False)
        self._largest = int(members.sum(dim=1).max())

    def cards_of_best_domain(self, spectra: Tensor) -> Tensor:
        """Return the weights (N, cards) for spectra (N, rows, columns) or (N, cells), each for itself."""
        best = torch.addmm(self.offset, spectra.flatten(1), self.slope).argmax(dim=1)
        weights, most = self.shares.index_select(0, best), self.settings.max_active
        if most is None or most >= self._largest:
            return weights
        assert self.scores is not None
        return limited(weights, most, self.scores(spectra))


def limited(weights: Tensor, most: int | None, order: Tensor) -> Tensor:
    """Return weights (N, cards) with all but the `most` cards first in `order` set to 0.

    Cards of weight 0 come last; the weights that are left are scaled to sum to 1.
    """
    if most is None or most >= weights.shape[1]:
        return weights
    kept = order.masked_fill(weights == 0, -torch.inf).topk(most, dim=1).indices
    left = torch.zeros_like(weights).scatter_(1, kept, weights.gather(1, kept))
    return left / left.sum(dim=1, keepdim=True)


def gate_settings(gate: str, values: Mapping[str, object]) -> GateSettings:
    """Return checked settings for a gate; `InputError` names what it does not have or cannot take."""
    kind = GATES[gate].settings_type
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"gate {gate!r}: {first_error(error)}") from None


GATES: Registry[type[Gate]] = catalog.GATES

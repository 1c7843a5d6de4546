"""What a gate is: scores of cards for what it sees, and weights of them; long, as all gates share these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from torch import Tensor, nn

from winninghand.base import catalog
from winninghand.base.errors import InputError, counted, first_error
from winninghand.base.registry import Registry, nearest
from winninghand.spectra import SpectralProfile, log_spectra
from winninghand.spectra.profile import RINGS, ring_averages

if TYPE_CHECKING:
    from winninghand.cards import Card

# Two profiles whose mean squared difference, in units of the spread, is below this are of one domain.
# Seeds of one domain differ by about 10⁻³, domains by more than 10⁻¹.
_SAME_DOMAIN = 0.01

# Distances of single images are noisy, so differences of distances are divided by 4. (Weights of two
# small CIFAR-10 cards closed 74% of the way to the oracle when divided by 2, 97% when divided by 5.)
SOFTNESS = 4.0

# The least spread that differences are divided by. Where all images of a set agree, as in the margin of
# digits, a small difference would otherwise count without limit.
LEAST_SPREAD = 0.05


# Within this, a score is a number of single precision.
Number = Annotated[FiniteFloat, Field(ge=-1e12, le=1e12)]


Inputs = Literal["rings", "features"]
"""What scores are fitted to: the shift of the spectrum by ring, or statistics of the first convolution."""

# More cards, or more numbers for each, than any gate has: a file may come from a stranger.
_MOST_CARDS, _MOST_INPUTS = 256, 2**14


class FittedScores(BaseModel):
    """Scores fitted on images: per card a slope for each number that the gate sees, and an offset.

    `inputs` says what the gate sees. A score is linear in it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slopes: Annotated[
        tuple[Annotated[tuple[Number, ...], Field(max_length=_MOST_INPUTS)], ...],
        Field(max_length=_MOST_CARDS),
    ]
    offsets: Annotated[tuple[Number, ...], Field(max_length=_MOST_CARDS)]
    inputs: Inputs = "rings"


FITTED_VALUES = ("slopes", "offsets")
"""The fitted values that are tensors of a deck's state dict."""


class Scores(nn.Module):
    """The score of each card for each image, linear in what is seen of it; the highest suits best.

    `slope` is (numbers seen, cards), `offset` (cards,).
    """

    slope: Tensor
    offset: Tensor

    def __init__(self, slope: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("slope", slope, persistent=False)
        self.register_buffer("offset", offset, persistent=False)

    def forward(self, seen: Tensor) -> Tensor:
        """Return scores (N, cards) of what is seen of N images, (N, …)."""
        return torch.addmm(self.offset, seen.flatten(1), self.slope)


class SpectralScores(Scores):
    """Scores of log-amplitude spectra.

    Unfitted, a score is minus the distance from the spectrum to the profile of the card's domain. The
    distance is the mean over frequencies of the squared difference in units of the spread (Diffenderfer
    et al. 2021 leave the norm open), divided by a constant; a term that all cards share is left out.
    Fitted, a score is linear in the shift of the spectrum from the clean profile, averaged over rings.
    """

    domains: Tensor

    def __init__(self, profiles: Sequence[SpectralProfile], fitted: FittedScores | None) -> None:
        super().__init__(*(_distances(profiles) if fitted is None else _fitted(profiles, fitted)))
        self.register_buffer("domains", _domains(profiles), persistent=False)


def ring_shifts(spectra: Tensor, profiles: Sequence[SpectralProfile]) -> Tensor:
    """Return the shift of spectra (…, rows, columns) from the clean profile, by ring (…, RINGS).

    The unit is the spread over clean images. Raises `InputError` where a card lacks the clean profile.
    """
    mean, spread = _clean(profiles)
    return ((spectra - mean) / spread).flatten(-2) @ ring_averages(*mean.shape)


def _distances(profiles: Sequence[SpectralProfile]) -> tuple[Tensor, Tensor]:
    means, variance = _means_and_variance(profiles)
    scaled = 2 * means / variance / means[0].numel() / SOFTNESS
    return scaled.flatten(1).T.contiguous(), -(scaled * means).sum(dim=(1, 2)) / 2


def _fitted(profiles: Sequence[SpectralProfile], fitted: FittedScores) -> tuple[Tensor, Tensor]:
    by_ring, offset = fitted_tensors(fitted, RINGS, len(profiles))
    mean, spread = _clean(profiles)
    slope = ring_averages(*mean.shape) @ by_ring / spread.flatten()[:, None]
    return slope.contiguous(), offset - mean.flatten() @ slope


def fitted_tensors(fitted: FittedScores, inputs: int, cards: int) -> tuple[Tensor, Tensor]:
    """Return slopes (inputs, cards) and offsets (cards,); `InputError` where they are of other cards."""
    shape = [len(row) for row in fitted.slopes]
    if shape != [inputs] * cards or len(fitted.offsets) != cards:
        raise InputError(f"the gate was fitted for {counted(len(shape), 'other card')}; fit it again")
    slopes = torch.tensor(fitted.slopes, dtype=torch.float32).T.contiguous()
    return slopes, torch.tensor(fitted.offsets, dtype=torch.float32)


def _clean(profiles: Sequence[SpectralProfile]) -> tuple[Tensor, Tensor]:
    """Return mean and spread of the clean images, averaged over the cards' training sets."""
    clean = [profile.clean for profile in profiles if profile.clean is not None]
    if len(clean) < len(profiles):
        number = next(number for number, profile in enumerate(profiles, start=1) if profile.clean is None)
        raise InputError(
            f"card {number} does not know what clean images look like (its file is older than that); "
            "train it again, or use the gate 'spectral' unfitted"
        )
    spread = torch.stack([one.spread for one in clean]).mean(dim=0).clamp_min(LEAST_SPREAD)
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
    return means, spreads.square().mean(dim=0).clamp_min(LEAST_SPREAD**2)


class GateSettings(BaseModel):
    """The settings of a gate, and what was fitted; the deck's file holds both.

    At most `max_active` cards are played on an image; None is no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    max_active: PositiveInt | None = None
    scores: FittedScores | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_is_a_number(cls, value: object, info: ValidationInfo) -> object:
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (kind, *get_args(kind)):
            raise ValueError(f"it is no switch; give its value, not {str(value).lower()}")
        return value

    @property
    def fits(self) -> bool:
        """Whether a gate of these settings can go by fitted scores."""
        return True


class AdaptiveSettings(GateSettings):
    """Settings of a gate that looks at images.

    Where the largest share in the softmax of an image's scores is at most `confidence`, in 0..1, the gate
    does not know, and all cards are played in equal shares, `max_active` or not. None: it always knows.
    """

    confidence: float | None = Field(default=None, ge=0, le=1)


class Gate(nn.Module, ABC):
    """Chooses cards for a batch of images, by the images alone.

    Called with float images (N, 3, H, W) in [0, 1] it gives the weight of each card for each
    image, float32 (N, cards), rows summing to 1. A card of weight 0 is not played.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[GateSettings]] = GateSettings
    needs_profiles: ClassVar[bool] = True
    inputs: ClassVar[Inputs | None] = "rings"
    """What its fitted scores are linear in; None for a gate that does not look at images."""
    batch_matters: ClassVar[bool] = False
    """Whether an image's weights depend on which batch it is in."""

    def __init__(self, profiles: Sequence[SpectralProfile | None], settings: GateSettings) -> None:
        super().__init__()
        self.settings = settings
        known = [profile for profile in profiles if profile is not None]
        if settings.scores is not None and self.inputs not in (None, settings.scores.inputs):
            raise InputError(
                f"the gate {self.name!r} goes by {self.inputs}, and what was fitted by "
                f"{settings.scores.inputs}; fit it again, or give scores=None"
            )
        self.scores: Scores | None = SpectralScores(known, settings.scores) if self.needs_profiles else None

    @classmethod
    def of_cards(cls, cards: Sequence[Card], settings: GateSettings) -> Gate:
        """Return a gate for these cards."""
        return cls([card.profile for card in cards], settings)

    def forward(self, images: Tensor) -> Tensor:
        """Return the weights for a batch of images, in single precision under autocast too."""
        device = images.device.type
        if not torch.is_autocast_enabled(device):
            return self.weigh(self.look(images))
        with torch.autocast(device, enabled=False):
            return self.weigh(self.look(images))

    def look(self, images: Tensor) -> Tensor:
        """Return what it sees of images, (N, …): their log-amplitude spectra (N, rows, columns)."""
        return log_spectra(images)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Gate:
        """Move the gate; it stays in single precision, which faint frequencies need."""
        moved = lambda tensor: tensor.to(fn(tensor).device)  # noqa: E731
        return super()._apply(moved, recurse)  # type: ignore[no-untyped-call, no-any-return]

    @abstractmethod
    def weigh(self, seen: Tensor) -> Tensor:
        """Return the weights (N, cards) for what it sees of one batch."""

    def hands(self) -> Tensor | None:
        """Return what it chooses among, where it plays one of a few sets of cards: float (hands, cards).

        A hand's score is its row times the scores of the cards; cards of weight 0 are not in it, and the
        others are played in equal shares. None for a gate that mixes all cards, or chooses among too many.
        """
        return None

    def reset(self) -> None:
        """Forget earlier batches; only a gate for streams remembers any."""


class DomainGate(Gate):
    """A gate that plays, in equal shares, the cards of the one domain whose mean score is best."""

    settings_type: ClassVar[type[GateSettings]] = AdaptiveSettings
    slope: Tensor
    offset: Tensor
    shares: Tensor

    def __init__(self, profiles: Sequence[SpectralProfile | None], settings: GateSettings) -> None:
        super().__init__(profiles, settings)
        assert isinstance(self.scores, SpectralScores)
        assert isinstance(settings, AdaptiveSettings)
        domains = self.scores.domains
        members = (domains > 0).T.float()
        self.register_buffer("slope", self.scores.slope @ domains, persistent=False)
        self.register_buffer("offset", self.scores.offset @ domains, persistent=False)
        self.register_buffer("shares", members / members.sum(dim=1, keepdim=True), persistent=False)
        self._largest = int(members.sum(dim=1).max())
        self._confidence = settings.confidence

    def domain_scores(self, spectra: Tensor) -> Tensor:
        """Return the mean score (N, domains) of each domain's cards."""
        return torch.addmm(self.offset, spectra.flatten(1), self.slope)

    def card_scores(self, spectra: Tensor) -> Tensor:
        """Return the score (N, cards) of each card."""
        assert self.scores is not None
        scores: Tensor = self.scores(spectra)
        return scores

    def hands(self) -> Tensor | None:
        """Return the cards of each domain, whose score is the mean of theirs; None where they are limited."""
        assert isinstance(self.scores, SpectralScores)
        most = self.settings.max_active
        return None if most is not None and most < self._largest else self.scores.domains.T

    def cards_of_best_domain(self, spectra: Tensor) -> Tensor:
        """Return the weights (N, cards) for spectra (N, rows, columns) or (N, cells), each for itself."""
        scores = self.domain_scores(spectra)
        weights, most = self.shares.index_select(0, scores.argmax(dim=1)), self.settings.max_active
        if most is not None and most < self._largest:
            weights = limited(weights, most, self.card_scores(spectra))
        return weights if self._confidence is None else with_fallback(weights, scores, self._confidence)


def best_shares(scores: Tensor, most: int | None, confidence: float | None = None) -> Tensor:
    """Return as weights the softmax over the `most` best of scores (N, cards); see `with_fallback`."""
    if most is None or most >= scores.shape[1]:
        weights = scores.softmax(dim=1)
    else:
        best, cards = scores.topk(most, dim=1)
        weights = torch.zeros_like(scores).scatter_(1, cards, best.softmax(dim=1))
    return weights if confidence is None else with_fallback(weights, scores, confidence)


def with_fallback(weights: Tensor, scores: Tensor, confidence: float) -> Tensor:
    """Return weights (N, cards), those of all cards equal where no score (N, …) stands out.

    That is where the largest share in the softmax of the scores is at most `confidence`.
    """
    known = scores.softmax(dim=1).amax(dim=1, keepdim=True) > confidence
    return weights.where(known, 1 / weights.shape[1])


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
    for key in values:
        if key not in kind.model_fields:
            raise InputError(f"gate {gate!r}: unknown key {key!r}; {nearest(key, kind.model_fields)}")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"gate {gate!r}: {first_error(error)}") from None


GATES: Registry[type[Gate]] = catalog.GATES

"""What a gate is: weights of cards for images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from torch import Tensor, nn

from winninghand.base import catalog
from winninghand.base.errors import InputError, first_error
from winninghand.base.registry import Registry
from winninghand.decks.scores import FittedScores, Scores
from winninghand.spectra import SpectralProfile, log_spectra


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

"""`stream`: a running estimate of the spectrum, for images that come in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.decks.gate import GATES, DomainGate, GateSettings
from winninghand.spectra import SpectralProfile


class StreamSettings(GateSettings):
    """`forgetting` in (0, 1] is the share of the newest image in the running mean of the spectra."""

    forgetting: float = Field(default=0.1, gt=0, le=1)


@GATES.register("stream")
class Stream(DomainGate):
    """Each image is played by the running mean up to and with itself; `reset` begins a new stream.

    The estimate is an exponential average whose start is unbiased (Kingma & Ba 2015, section 3):
    the first image counts in full. How a stream is cut into batches makes no difference.
    """

    name: ClassVar[str] = "stream"
    settings_type: ClassVar[type[GateSettings]] = StreamSettings
    total: Tensor

    def __init__(self, profiles: Sequence[SpectralProfile | None], settings: GateSettings) -> None:
        super().__init__(profiles, settings)
        assert isinstance(settings, StreamSettings)
        shape = next(profile.mean.shape for profile in profiles if profile is not None)
        self.register_buffer("total", torch.zeros(shape), persistent=False)
        self._seen = 0
        self._kept = 1 - settings.forgetting
        self._decay: dict[int, Tensor] = {}

    def reset(self) -> None:
        """Forget all images seen."""
        self.total, self._seen = torch.zeros_like(self.total), 0

    def weigh(self, spectra: Tensor) -> Tensor:
        """Return each image's row, and remember the batch."""
        count = len(spectra)
        before = torch.cat((self.total[None], spectra)).flatten(1)
        totals = self._decay_of(count, before.device) @ before
        # What is missing from 1 in the sum of all shares so far.
        missing = [self._kept ** (self._seen + number) for number in range(1, count + 1)]
        means = totals / (1 - totals.new_tensor(missing))[:, None]
        self.total, self._seen = totals[-1].reshape(self.total.shape).clone(), self._seen + count
        return self.cards_of_best_domain(means.unflatten(1, self.total.shape))

    def _decay_of(self, count: int, device: torch.device) -> Tensor:
        """Return the matrix (count, 1 + count) from the old total and the new spectra to the new totals."""
        if count not in self._decay:
            ages = torch.arange(count)[:, None] - torch.arange(-1, count)
            shares = self._kept ** ages.clamp_min(0).float() * (ages >= 0)
            shares[:, 1:] *= 1 - self._kept
            self._decay = {count: shares.to(device)}
        return self._decay[count].to(device)

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
    seen: Tensor
    total: Tensor

    def __init__(self, profiles: Sequence[SpectralProfile | None], settings: GateSettings) -> None:
        super().__init__(profiles, settings)
        shape = next(profile.mean.shape for profile in profiles if profile is not None)
        self.register_buffer("total", torch.zeros(shape), persistent=False)
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def reset(self) -> None:
        """Forget all images seen."""
        self.total, self.seen = torch.zeros_like(self.total), torch.zeros_like(self.seen)

    def weigh(self, spectra: Tensor) -> Tensor:
        """Return each image's row, and remember the batch."""
        assert isinstance(self.settings, StreamSettings)
        kept = 1 - self.settings.forgetting
        steps = torch.arange(len(spectra), device=spectra.device, dtype=spectra.dtype)
        ages = steps[:, None] - steps
        shares = torch.where(ages >= 0, (1 - kept) * kept ** ages.clamp_min(0), 0)
        before = kept ** (steps + 1)
        totals = (shares @ spectra.flatten(1)).unflatten(1, self.total.shape) + before[
            :, None, None
        ] * self.total
        seen = shares.sum(dim=1) + before * self.seen
        self.total, self.seen = totals[-1].clone(), seen[-1].clone()
        return self.cards_of_best_domain(totals / seen[:, None, None])

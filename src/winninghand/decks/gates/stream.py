"""`stream`: a running estimate of the spectrum, for images that come in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.decks.gate import DomainGate, GateSettings
from winninghand.spectra import SpectralProfile


class StreamSettings(GateSettings):
    """`forgetting` in (0, 1] is the share of the newest image in the running mean of the spectra."""

    forgetting: float = Field(default=0.1, gt=0, le=1)


class Stream(DomainGate):
    """Each image is played by the running mean up to and with itself; `reset` begins a new stream.

    How a stream is cut into batches makes no difference.
    """

    name: ClassVar[str] = "stream"
    settings_type: ClassVar[type[GateSettings]] = StreamSettings

    def __init__(self, profiles: Sequence[SpectralProfile | None], settings: GateSettings) -> None:
        super().__init__(profiles, settings)
        assert isinstance(settings, StreamSettings)
        self._mean = RunningMean(settings.forgetting)

    def reset(self) -> None:
        """Forget all images seen."""
        self._mean = RunningMean(self._mean.forgetting)

    def weigh(self, spectra: Tensor) -> Tensor:
        """Return each image's row, and remember the batch."""
        return self.cards_of_best_domain(self._mean.after_each(spectra.flatten(1)))


class RunningMean:
    """An exponential average whose start is unbiased: the first value counts in full.

    Kingma & Ba 2015 (arXiv:1412.6980), section 3.
    """

    def __init__(self, forgetting: float) -> None:
        self.forgetting = forgetting
        self._kept = 1 - forgetting
        self._total: Tensor | None = None
        # What the shares of all values so far lack to 1.
        self._missing = 1.0
        self._shares: dict[tuple[int, torch.device], tuple[Tensor, Tensor]] = {}

    def after_each(self, values: Tensor) -> Tensor:
        """Return the mean (N, D) after each of the values (N, D), and remember them."""
        old, new = self._shares_in_totals(len(values), values.device)
        if self._total is None:
            totals = new @ values
        else:
            totals = torch.addmm(old * self._total.to(values.device), new, values)
        means = totals / torch.rsub(old, 1, alpha=self._missing)
        self._total, self._missing = totals[-1:].clone(), self._missing * self._kept ** len(values)
        return means

    def _shares_in_totals(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return what the old total (count, 1) and each value (count, count) are in the new totals."""
        if (count, device) not in self._shares:
            ages = torch.arange(count)[:, None] - torch.arange(count)
            new = self.forgetting * self._kept ** ages.clamp_min(0).float() * (ages >= 0)
            old = self._kept ** torch.arange(1, count + 1).float()[:, None]
            self._shares = {(count, device): (old.to(device), new.to(device))}
        return self._shares[count, device]

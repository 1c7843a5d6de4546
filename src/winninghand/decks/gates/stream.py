"""`stream`: a running estimate of the spectrum, for images that come in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from winninghand.decks.gate import AdaptiveSettings, DomainGate, GateSettings
from winninghand.spectra import SpectralProfile


class StreamSettings(AdaptiveSettings):
    """`forgetting` in 10⁻⁶ .. 1 is the share of the newest image in the running mean of the spectra.

    After 2 / `forgetting` images of another kind, 20 by default, these make 86% or more of the mean.
    """

    forgetting: float = Field(default=0.1, ge=1e-6, le=1)


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

    def weigh(self, seen: Tensor) -> Tensor:
        """Return each image's row, and remember the batch."""
        return self.cards_of_best_domain(self._mean.after_each(seen.flatten(1)))


# Values are averaged so many at a time: what it takes grows with their number, not with its square.
_AT_ONCE = 256


class RunningMean:
    """An exponential average whose start is unbiased: the first value counts in full.

    Kingma & Ba 2015 (arXiv:1412.6980), section 3. Threads may share it: each batch counts whole.
    """

    def __init__(self, forgetting: float) -> None:
        self.forgetting = forgetting
        self._kept = 1 - forgetting
        self._total: Tensor | None = None
        # What the shares of all values so far lack to 1.
        self._missing = 1.0
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the lock, which cannot be copied."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=Lock())

    def after_each(self, values: Tensor) -> Tensor:
        """Return the mean (N, D) after each of the values (N, D), and remember them."""
        with self._lock:
            if len(values) <= _AT_ONCE:
                return self._after_each(values)
            return torch.cat([self._after_each(part) for part in values.split(_AT_ONCE)])

    def _after_each(self, values: Tensor) -> Tensor:
        old, new = _shares_in_totals(len(values), self.forgetting, values.device)
        if self._total is None:
            totals = new @ values
        else:
            totals = torch.addmm(old * self._total.to(values.device), new, values)
        means = totals / torch.rsub(old, 1, alpha=self._missing)
        self._total, self._missing = totals[-1:].clone(), self._missing * self._kept ** len(values)
        return means


@lru_cache(maxsize=8)
def _shares_in_totals(count: int, forgetting: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what the old total (count, 1) and each value (count, count) are in the new totals."""
    kept = 1 - forgetting
    with torch.inference_mode(False):
        ages = torch.arange(count)[:, None] - torch.arange(count)
        new = forgetting * kept ** ages.clamp_min(0).float() * (ages >= 0)
        old = kept ** torch.arange(1, count + 1).float()[:, None]
        return old.to(device), new.to(device)

"""`lrr`: learning-rate rewinding (Renda, Frankle & Carbin 2020, arXiv:2003.02389)."""

from __future__ import annotations

from typing import ClassVar

from winninghand.compression.method import METHODS, Method, Start
from winninghand.compression.phase import Phase, in_rounds
from winninghand.compression.settings import Compression


class LearningRateRewinding(Method):
    """Train; then, round by round, prune the smallest weights and train again.

    Each round starts from the trained weights and replays the whole learning-rate schedule.
    """

    name: ClassVar[str] = "lrr"

    def plan(self, settings: Compression, epochs: int, start: Start) -> tuple[Phase, ...]:
        """Return a dense phase, unless the network is trained already, and one phase per round."""
        phase = Phase(epochs, start.sparsity)
        return in_rounds(phase, phase, settings.rounds(start.sparsity), start.trained, settings.last_epochs)


METHODS.register(LearningRateRewinding.name)(LearningRateRewinding())

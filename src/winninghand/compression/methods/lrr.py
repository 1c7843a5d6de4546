"""`lrr`: learning-rate rewinding (Renda, Frankle & Carbin 2020, "Comparing Rewinding and Fine-tuning")."""

from __future__ import annotations

from typing import ClassVar

from winninghand.compression.method import METHODS, Method, Phase
from winninghand.compression.rounds import round_sparsities
from winninghand.compression.settings import Compression


class LearningRateRewinding(Method):
    """Train; then, round by round, prune the smallest weights and train again.

    Each round starts from the trained weights and replays the whole learning-rate schedule.
    """

    name: ClassVar[str] = "lrr"

    def plan(self, settings: Compression, epochs: int, trained: bool) -> tuple[Phase, ...]:
        """Return a dense phase, unless the network is trained already, and one phase per round."""
        sparsities = round_sparsities(settings.sparsity, settings.fraction_per_round)
        first = () if trained and sparsities else (Phase(epochs, sparsity=0.0),)
        return (*first, *(Phase(epochs, sparsity) for sparsity in sparsities))


METHODS.register(LearningRateRewinding.name)(LearningRateRewinding())

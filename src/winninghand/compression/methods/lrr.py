"""`lrr`: learning-rate rewinding (Renda, Frankle & Carbin 2020, arXiv:2003.02389)."""

from __future__ import annotations

from typing import ClassVar

from winninghand.compression.method import Method, Start
from winninghand.compression.phase import Phase, in_rounds
from winninghand.compression.settings import Compression


class LearningRateRewinding(Method):
    """Train; then, round by round, prune the smallest weights and train again.

    Each round starts from the trained weights and replays the whole learning-rate schedule, or
    under `round_rate` one of a lower top: where rounds are short, a high one undoes more than they
    mend (Zimmer, Spiegel & Pokutta 2023, arXiv:2111.00843).
    """

    name: ClassVar[str] = "lrr"

    def plan(self, settings: Compression, epochs: int, start: Start) -> tuple[Phase, ...]:
        """Return a dense phase, unless the network is trained already, and one phase per round."""
        first = Phase(epochs, start.sparsity)
        again = Phase(epochs, start.sparsity, rate=settings.round_rate)
        return in_rounds(first, again, settings.rounds(start.sparsity), start.trained, settings.last_epochs)

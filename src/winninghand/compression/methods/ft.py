"""`ft`: fine-tuning (Han et al. 2015, arXiv:1506.02626)."""

from __future__ import annotations

from typing import ClassVar

from winninghand.compression.method import Method, Start
from winninghand.compression.phase import Phase, in_rounds
from winninghand.compression.settings import Compression


class FineTuning(Method):
    """Train; prune the smallest weights once, to the target; train on at a small constant rate.

    The rate stands for the last of a schedule of steps, since a cosine ends at 0: 0.01 of the
    first, as in Liu et al. 2019, arXiv:1810.05270, who tune for a quarter of the epochs.
    """

    name: ClassVar[str] = "ft"

    def plan(self, settings: Compression, epochs: int, start: Start) -> tuple[Phase, ...]:
        """Return a dense phase, unless the network is trained already, and one of tuning."""
        sparsities = (settings.sparsity,) if settings.sparsity > start.sparsity else ()
        tuning = Phase(
            settings.fine_tune_epochs or epochs,
            settings.sparsity,
            rate=settings.fine_tune_rate,
            constant=True,
        )
        return in_rounds(Phase(epochs, start.sparsity), tuning, sparsities, start.trained)

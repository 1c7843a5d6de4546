"""`lth`: lottery tickets by weight rewinding (Frankle & Carbin 2019, arXiv:1803.03635; Frankle et al. 2020,
arXiv:1912.05671)."""

from __future__ import annotations

from typing import ClassVar

from winninghand.base.errors import InputError
from winninghand.compression.method import Method, Start
from winninghand.compression.phase import Phase, in_rounds
from winninghand.compression.settings import Compression


class WeightRewinding(Method):
    """Train; then, round by round, prune the smallest weights, set the others back and train again.

    Each round starts from the weights, biases and norms of an early moment of the first training,
    `rewind_epoch`, and replays the learning-rate schedule from there. The first training takes
    place whether or not the network is trained, since it is what is rewound to.
    """

    name: ClassVar[str] = "lth"

    def plan(self, settings: Compression, epochs: int, start: Start) -> tuple[Phase, ...]:
        """Return a first phase and one phase per round."""
        moment = settings.rewind_epoch
        shortest = min(epochs, settings.last_epochs or epochs)
        if moment >= shortest:
            raise InputError(f"rewind_epoch {moment:g} must lie before the end of the {shortest} epochs")
        first = Phase(epochs, start.sparsity, remember=moment)
        again = Phase(epochs, start.sparsity, begin=moment, rewound=True)
        sparsities = settings.rounds(start.sparsity)
        return in_rounds(first, again, sparsities, trained=False, last_epochs=settings.last_epochs)

"""One stretch of training, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from winninghand.compression.ramp import Ramp


@dataclass(frozen=True)
class Phase:
    """One training from a (re)start of the learning-rate schedule to its end.

    Before its first step the network is pruned to `sparsity`, or, with a `ramp`, brought there
    while it trains. `epochs` is the length of the schedule, which is entered at epoch `begin`
    (fractions are steps). The phase starts from the present weights, or, `rewound`, from those
    that an earlier phase remembered at its epoch `remember`. `rate` is the top of its schedule as a
    fraction of the recipe's learning rate, held all the time where it is `constant`.
    """

    epochs: int
    sparsity: float
    begin: float = 0.0
    ramp: Ramp | None = None
    remember: float | None = None
    rewound: bool = False
    rate: float = 1.0
    constant: bool = False

    def sparsity_at(self, progress: float) -> float:
        """Return the sparsity at `progress`, a fraction of the phase in 0..1."""
        return self.sparsity if self.ramp is None else self.ramp.at(progress, self.sparsity)


def in_rounds(
    first: Phase,
    again: Phase,
    sparsities: Sequence[float],
    trained: bool,
    last_epochs: int | None = None,
) -> tuple[Phase, ...]:
    """Return `first`, which a trained network does not need before others, and `again` at each sparsity.

    The last of the rounds takes `last_epochs` where they are given.
    """
    beginning = () if trained and sparsities else (first,)
    rounds = [replace(again, sparsity=sparsity) for sparsity in sparsities]
    if rounds and last_epochs is not None:
        rounds[-1] = replace(rounds[-1], epochs=last_epochs)
    return (*beginning, *rounds)

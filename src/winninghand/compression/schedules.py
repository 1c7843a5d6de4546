"""When a network is pruned, and how far: ramps within a phase, rounds of phases, phases as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from winninghand.base.errors import InputError

MOST_EPOCHS = 1_000_000
MOST_ROUNDS = 1_000


@dataclass(frozen=True)
class Ramp:
    """A cubic rise of the sparsity from `start`, at the fraction `begin` of a phase, to its end at `end`.

    The network is pruned every `update_every` steps of the rise, and at its last step.
    """

    start: float
    begin: float
    end: float
    update_every: int = 1

    def at(self, progress: float, target: float) -> float:
        """Return the sparsity at `progress`, a fraction of the phase.

        s = target + (start − target)·(1 − p)³ with p = (progress − begin) / (end − begin) clipped to
        0..1 (Zhu & Gupta 2017, arXiv:1710.01878, equation 1).
        """
        if progress >= self.end:
            return target
        rest = 1 - max(progress - self.begin, 0.0) / (self.end - self.begin)
        return target + (self.start - target) * rest**3

    def is_due(self, step: int, steps: int) -> bool:
        """Say whether the network is pruned after `step` of the `steps` of a phase."""
        first, last = math.floor(self.begin * steps), math.ceil(self.end * steps)
        in_turn = first < step < last and (step - first) % self.update_every == 0
        return in_turn or step == last


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

    def remembered_after(self, steps: int) -> int | None:
        """Return the step, of `steps`, after which the weights are remembered; None where never."""
        return None if self.remember is None else int(self.remember / self.epochs * steps)

    def sparsity_after(self, step: int, steps: int) -> float:
        """Return the sparsity after `step` of `steps` steps: that of the last pruning."""
        ramp = self.ramp
        last = 0 if ramp is None else next((k for k in range(step, 0, -1) if ramp.is_due(k, steps)), 0)
        return self.sparsity_at(last / steps)


@lru_cache(maxsize=4096)  # a study of thousands of runs has few plans
def round_sparsities(target: float, fraction: float, present: float = 0.0) -> tuple[float, ...]:
    """Return the sparsity after each round that removes `fraction` of the weights that remain.

    Round k reaches 1 − (1 − present)·(1 − fraction)^k; the last round removes less, and ends at
    `target` exactly. 0.95 at 0.2 a round takes 14 rounds (Frankle & Carbin 2019). No round where
    the target is the present sparsity. Raises `InputError` for more than a thousand rounds.
    """
    if target <= present:
        return ()
    exact = math.log((1 - target) / (1 - present)) / math.log1p(-fraction)
    if exact > MOST_ROUNDS:
        raise InputError(
            f"at fraction_per_round {fraction:g} the sparsity {target:g} takes {exact:.3g} rounds; "
            f"at most {MOST_ROUNDS} are possible"
        )
    # Rounding error must not add a round, and with it a whole training.
    rounds = math.ceil(exact - 1e-6)
    return (*(1 - (1 - present) * (1 - fraction) ** number for number in range(1, rounds)), target)


@lru_cache(maxsize=4096)
def in_rounds(
    again: Phase, sparsities: tuple[float, ...], last_epochs: int | None = None
) -> tuple[Phase, ...]:
    """Return the phase `again` at each sparsity; the last takes `last_epochs` where they are given."""
    rounds = [replace(again, sparsity=sparsity) for sparsity in sparsities]
    if rounds and last_epochs is not None:
        rounds[-1] = replace(rounds[-1], epochs=last_epochs)
    return tuple(rounds)

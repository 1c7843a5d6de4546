"""What a run is going to do, and how long that takes, before it does it."""

from __future__ import annotations

from dataclasses import dataclass

from winninghand.compression import Phase
from winninghand.training.run import Run
from winninghand.training.schedule import Schedule


@dataclass(frozen=True)
class Row:
    """One phase in words and numbers; `steps` are those that it takes."""

    epochs: str
    steps: int
    sparsity: str
    learning_rate: str
    start: str


@dataclass(frozen=True)
class Forecast:
    """The phases of a run, and the time of a step as measured on this machine."""

    rows: tuple[Row, ...]
    seconds_per_step: float


def forecast(run: Run) -> Forecast:
    """Return the plan of a run; a few steps are timed on a copy of its network, which is left as it is."""
    per_epoch = run.steps_per_epoch()
    rows = tuple(_row(Schedule(phase, per_epoch, run.recipe.training)) for phase in run.phases)
    return Forecast(rows, run.seconds_per_step())


def _row(schedule: Schedule) -> Row:
    phase = schedule.phase
    rates = [schedule.learning_rate(step) for step in range(schedule.first, schedule.end)]
    highest = max(rates)
    return Row(
        epochs=f"{phase.begin:g} to {phase.epochs}" if phase.begin else str(phase.epochs),
        steps=schedule.end - schedule.first,
        sparsity=_sparsity(phase),
        learning_rate=f"{highest:.3g}, constant"
        if phase.constant
        else f"{rates[0]:.3g} → {highest:.3g} → {rates[-1]:.1g}",
        start=f"the weights of epoch {phase.begin:g}" if phase.rewound else "the present weights",
    )


def _sparsity(phase: Phase) -> str:
    if phase.ramp is None:
        return f"{phase.sparsity:.2%}"
    moments = f"epoch {phase.ramp.begin * phase.epochs:.3g} to {phase.ramp.end * phase.epochs:.3g}"
    return f"{phase.ramp.start:.2%} → {phase.sparsity:.2%}, {moments}"

"""How long a study takes, from a few steps of each of its networks on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from winninghand.base.device import best_device
from winninghand.base.errors import counted
from winninghand.base.files import read_sealed, write_sealed
from winninghand.decks.fitting import LIMIT, fitting_conditions
from winninghand.images import ImageSet
from winninghand.recipe import Recipe
from winninghand.studies.graph import Plan, own_epochs, planned
from winninghand.studies.left import left_of
from winninghand.studies.study import Study
from winninghand.training import new_run

_NAME = "steps.json"
_BATCH = 32
"""A step is measured on at most so many images, and taken for proportional to their number."""
_FORWARD = 1 / 3
"""What an image that is only answered takes of one that is learned from: once forward, not backward."""


@dataclass(frozen=True)
class StudyForecast:
    """What a study takes from its beginning, and what is left of it.

    `seconds` and `seconds_left` are those of one worker, training and measuring.
    """

    plan: Plan
    left: Plan
    seconds: float
    seconds_left: float
    workers: int
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def hours(self) -> float:
        """What the workers take together, if none ever waits."""
        return self.seconds / 3600 / self.workers

    @property
    def hours_left(self) -> float:
        """The same for what is left."""
        return self.seconds_left / 3600 / self.workers

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        plan = self.plan
        shared = len(plan.tasks) - len(plan.runs)
        parts = [counted(len(plan.runs), "run")]
        if shared:
            parts.append(f"{counted(shared, 'training')} that several go on from")
        if plan.decks:
            parts.append(f"{counted(len(plan.decks), 'deck')} of their cards")
        yield ", and ".join(parts)
        saved = 1 - plan.epochs / plan.epochs_apart
        yield _epochs(plan.epochs) + (
            f"; {plan.epochs_apart:,.6g} if nothing was shared: "
            f"{plan.epochs_apart / plan.epochs:.2f} times as many, {saved:.0%} are saved"
            if saved
            else ", of which none are shared"
        )
        yield (
            f"about {_hours(self.hours)} by {counted(self.workers, 'worker')}, from "
            f"{counted(len(self.steps), 'measured step')} on this machine as busy as it is"
        )
        runs_done, decks_done = len(plan.runs) - len(self.left.runs), len(plan.decks) - len(self.left.decks)
        if runs_done or decks_done:
            of_decks = f" and {decks_done} of {counted(len(plan.decks), 'deck')}" if plan.decks else ""
            yield (
                f"{runs_done} of {counted(len(plan.runs), 'run')}{of_decks} are done; left are "
                f"{_epochs(self.left.epochs)}, about {_hours(self.hours_left)}"
            )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "runs": len(self.plan.runs),
            "shared_trainings": len(self.plan.tasks) - len(self.plan.runs),
            "epochs": self.plan.epochs,
            "epochs_without_sharing": self.plan.epochs_apart,
            "workers": self.workers,
            "hours": self.hours,
            "left": {
                "runs": [run.name for run in self.left.runs],
                "decks": [deck.name for deck in self.left.decks],
                "epochs": self.left.epochs,
                "hours": self.hours_left,
            },
            "milliseconds_per_image": {name: 1000 * seconds for name, seconds in self.steps.items()},
            "tasks": [
                {
                    "run": task.name,
                    "parent": None if task.parent is None else task.parent.name,
                    "measured": task.measured,
                    "epochs": own_epochs(task),
                    "protocol": task.spec.protocol,
                    "choice": task.spec.choice,
                }
                for task in self.plan.tasks
            ],
            "decks": [
                {
                    "run": deck.name,
                    "cards": list(deck.members),
                    "protocol": deck.protocol,
                    "choice": deck.choice,
                }
                for deck in self.plan.decks
            ],
        }


def _epochs(number: float) -> str:
    return f"{number:,.6g} {'epoch' if number == 1 else 'epochs'}"


def _hours(hours: float) -> str:
    return f"{hours:.2g} hours" if hours < 100 else f"{hours:,.0f} hours"


def forecast(
    study: Study, images: ImageSet, out: Path, workers: int = 1, trust: bool = False, yes: bool = False
) -> StudyForecast:
    """Return what a study takes, and what of it is left in `out`; steps are measured once, and kept there.

    Decks are counted as answered and fitted; those of one body train their norms, which is not counted, nor
    the time that corrupting images takes.
    """
    plan, measured = planned(study, trust, yes), _Steps(images, out, trust)
    left = left_of(study, plan, out)
    seconds, seconds_left = (_seconds(one, study, images, measured) for one in (plan, left))
    return StudyForecast(plan, left, seconds, seconds_left, workers, measured.used)


def _seconds(plan: Plan, study: Study, images: ImageSet, measured: _Steps) -> float:
    seconds = 0.0
    cells = len(study.evaluation) * min(study.evaluation.limit or len(images.test), len(images.test))
    fitted = len(fitting_conditions()) * min(LIMIT, len(images.train))
    for deck in plan.decks:
        steps = [measured.seconds_per_image(spec.recipe) for spec in deck.cards]
        played = min(1.0, (deck.settings.get("max_active") or len(steps)) / len(steps))
        seconds += _FORWARD * sum(steps) * (fitted + cells * played)
    for task in plan.tasks:
        recipe = task.spec.recipe
        each = measured.seconds_per_image(recipe)
        learned = len(images.train) * (1 - recipe.training.validation)
        seconds += each * (own_epochs(task) * learned + (cells * _FORWARD if task.measured else 0))
    return seconds


def _steps_in(path: Path) -> dict[str, float]:
    """Return the steps that a file holds; of one that is not there, or damaged, they are measured again."""
    try:
        found = {key: float(one) for key, one in read_sealed(path)["steps"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):  # an InputError is a ValueError
        return {}
    return {key: one for key, one in found.items() if 0 < one < 1e9}


class _Steps:
    """Seconds per image of a step, by network, domain, size and device."""

    def __init__(self, images: ImageSet, out: Path, trust: bool) -> None:
        self._images = images
        self._path = out / _NAME
        self._trust = trust
        self._known = _steps_in(self._path)
        self.used: dict[str, float] = {}

    def seconds_per_image(self, recipe: Recipe) -> float:
        batch = min(_BATCH, recipe.training.batch_size)
        device = f"{best_device()}, {counted(torch.get_num_threads(), 'thread')}"
        parts = [recipe.network, recipe.domain, self._images.train.size, batch, recipe.training.precision]
        key = f"{json.dumps(parts, sort_keys=True, default=str)} on {device}"
        if key not in self._known:
            training = recipe.training.model_copy(update={"batch_size": batch, "compiled": False})
            short = Recipe(
                network=recipe.network,
                domain=recipe.domain,
                images=recipe.images,
                compression={"method": "dense"},
                training={**training.model_dump(exclude={"epochs"}), "epochs": 1},
            )
            self._known[key] = new_run(short, self._images, self._trust).forecast().seconds_per_step / batch
            write_sealed({"steps": self._known}, self._path)
        self.used[key] = self._known[key]
        return self._known[key]

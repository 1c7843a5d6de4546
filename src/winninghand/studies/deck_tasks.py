"""The decks that a study's tables ask for: which cards each holds, and under which gate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from winninghand.base.errors import InputError, counted
from winninghand.decks.gate import gate_settings
from winninghand.networks import empty_network
from winninghand.networks.norms import norm_names
from winninghand.studies.deck_plan import DeckPlan, check_names
from winninghand.studies.run_spec import RunSpec
from winninghand.studies.study import Study
from winninghand.studies.sweeps import meets

AVERAGE = "average"
"""The gate that a gated deck is compared with."""


@dataclass(frozen=True)
class DeckTask:
    """A deck to be made of finished cards, and measured. It goes on from no training.

    `cards` are the runs whose cards it may play; of a deck of one body the best of them is taken, and
    `domains` are those of its norms. `protocol` is that of its cards, empty where they follow none.
    """

    name: str
    cards: tuple[RunSpec, ...]
    gate: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    domains: tuple[str | Mapping[str, Any], ...] = ()
    protocol: str = ""

    parent = None
    measured = True

    @property
    def choice(self) -> dict[str, Any]:
        """What its table chose, as JSON values: the gate, its settings, and the domains of one body."""
        chosen = {"gate": self.gate, **self.settings}
        chosen |= {"domains": self.domains} if self.domains else {}
        found: dict[str, Any] = json.loads(json.dumps(chosen))
        return found

    @property
    def asked(self) -> dict[str, Any]:
        """What results say of it that the study's table decides."""
        return {"choice": self.choice, "protocol": self.protocol or None}

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the runs whose cards it may play."""
        return tuple(spec.name for spec in self.cards)


def deck_tasks(study: Study, specs: Sequence[RunSpec]) -> tuple[DeckTask, ...]:
    """Return a study's decks. Beside each gated one stands the average of the same cards, once.

    A deck has cards of one protocol, and trainings of one phase, which are the same under all. Raises
    `InputError` where no cards fit, and for settings that the gate does not take.
    """
    asked = [task for plan in study.decks for task in _decks(plan, specs)]
    averaged = {frozenset(task.members) for task in asked if task.gate == AVERAGE}
    found = []
    for task in asked:
        found.append(task)
        cards = frozenset(task.members)
        if not (task.domains or len(cards) == 1 or cards in averaged):
            averaged.add(cards)
            name = f"{task.name}-{AVERAGE}"
            found.append(DeckTask(name, task.cards, AVERAGE, protocol=task.protocol))
    check_names(task.name for task in found)
    return tuple(found)


def check_bodies(tasks: Iterable[DeckTask], trust: bool = False) -> None:
    """Raise `InputError` for a deck of one body whose network has no norms to differ in."""
    names: dict[str, bool] = {}
    for task in tasks:
        for spec in task.cards if task.domains else ():
            table = spec.recipe.network
            told = json.dumps(table, sort_keys=True, default=repr)
            if told not in names:
                names[told] = bool(norm_names(empty_network(**table, trust=trust)))
            if not names[told]:
                raise InputError(
                    f"the deck {task.name!r} has domains, and its network, {table['name']}, has no norms in "
                    "which the cards of one body differ; leave domains out, or take a network with norms"
                )


def _decks(plan: DeckPlan, specs: Sequence[RunSpec]) -> Iterator[DeckTask]:
    gate_settings(plan.gate, plan.settings)  # refused before anything is trained
    conditions = plan.cards or ({},)
    for condition in conditions:
        if not any(meets(spec.choice, condition) for spec in specs):
            raise InputError(f"no run of the study fits {dict(condition)} of the deck {plan.name!r}; mend it")
    protocols = sorted({spec.protocol for spec in specs if spec.protocol}) or [""]
    seeds = sorted({spec.recipe.seed for spec in specs}) if plan.seeds == "each" else [None]
    made: set[frozenset[str]] = set()
    for protocol in protocols:
        for seed in seeds:
            cards = _cards(conditions, specs, protocol, seed)
            names = frozenset(spec.name for spec in cards)
            if not cards or names in made:  # of cards of one phase there is one deck under all protocols
                continue
            made.add(names)
            own = protocol if any(spec.protocol for spec in cards) else ""
            parts = [plan.name, own if len(protocols) > 1 else "", "" if seed is None else str(seed)]
            yield DeckTask(
                "-".join(part for part in parts if part),
                cards,
                plan.gate,
                plan.settings,
                plan.domains,
                own,
            )
    if not made:
        raise InputError(
            f"no seed has runs that fit each of {counted(len(conditions), 'condition')} of the deck "
            f"{plan.name!r}; train the missing ones, or leave a condition out"
        )


def _cards(
    conditions: Sequence[Mapping[str, Any]], specs: Sequence[RunSpec], protocol: str, seed: int | None
) -> tuple[RunSpec, ...]:
    """Return the runs that meet the conditions, in their order; none where one of them is met by none."""
    there = [
        spec
        for spec in specs
        if spec.protocol in ("", protocol) and (seed is None or spec.recipe.seed == seed)
    ]
    found: dict[str, RunSpec] = {}
    for condition in conditions:
        fitting = [spec for spec in there if meets(spec.choice, condition)]
        if not fitting:
            return ()
        found |= {spec.name: spec for spec in fitting}
    return tuple(found.values())

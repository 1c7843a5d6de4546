"""What runs have in common: a phase that several go through is trained once.

A run is a path through a tree whose nodes are phases. What makes a node is all that decides the bits of a
training so far: the recipe but for its compression, its rounding and the number of its epochs, the phases,
and, once something is pruned, by what. So runs of several methods share their dense phase, those of one
method at several sparsities their first rounds, and those that differ in their rounding the whole training.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from winninghand.base.errors import InputError
from winninghand.compression import Method, Phase
from winninghand.studies.deck_tasks import DeckTask, check_bodies, deck_tasks
from winninghand.studies.executors import Task
from winninghand.studies.protocol import epochs_of
from winninghand.studies.run_spec import RunSpec, chosen
from winninghand.studies.study import Study


@dataclass(frozen=True)
class Plan:
    """The tasks of a study, each after its parent: its runs, and trainings that are only gone on from.

    `decks` are made of the runs' cards.
    """

    tasks: tuple[Task, ...]
    decks: tuple[DeckTask, ...] = ()

    @property
    def runs(self) -> tuple[RunSpec, ...]:
        """The runs that the study asks for."""
        return tuple(task.spec for task in self.tasks if task.measured)

    @property
    def epochs(self) -> float:
        """How many epochs are trained."""
        return sum(own_epochs(task) for task in self.tasks)

    @property
    def epochs_apart(self) -> float:
        """How many would be if every run was trained by itself."""
        return sum(epochs_of(spec.phases) for spec in self.runs)


def own_epochs(task: Task) -> float:
    """Return how many epochs a task takes, without its parent's."""
    before = 0 if task.parent is None else len(task.parent.phases)
    return epochs_of(task.spec.phases[before:])


def planned(study: Study, trust: bool = False, yes: bool = False) -> Plan:
    """Return the plan of a study; every recipe is checked before any runs.

    Raises `InputError` for more choices than people mean, unless they say `yes`, and for none.
    """
    study.check_number(yes)
    plan = shared(chosen(study, trust))
    if not plan.tasks:
        raise InputError("the study has no runs, as exclude leaves out every choice; mend it")
    decks = deck_tasks(study, plan.runs)
    check_bodies(decks, trust)
    return replace(plan, decks=decks)


def run_specs(study: Study, trust: bool = False) -> tuple[RunSpec, ...]:
    """Return the runs of a study in their order; one comes after those that it extends."""
    return planned(study, trust).runs


def shared(specs: Iterable[RunSpec]) -> Plan:
    """Return the tasks of these runs, in their order but for parents, which come first."""
    specs = tuple(specs)
    tree = _Tree(specs)
    tasks: dict[str, Task] = {}
    for spec in specs:
        for task in tree.tasks_of(spec):
            tasks.setdefault(task.name, task)
    return Plan(tuple(tasks.values()))


@dataclass(eq=False)
class _Node:
    """A training up to the end of a phase. `first` goes through it, and remembers what others rewind to."""

    parent: _Node | None
    depth: int
    moment: float | None
    first: RunSpec | None = None
    ends: list[RunSpec] = field(default_factory=list)
    after: int = 0
    task: Task | None = None


class _Tree:
    def __init__(self, specs: tuple[RunSpec, ...]) -> None:
        self._nodes: dict[tuple[object, ...], _Node] = {}
        self._ends: dict[str, _Node] = {}
        # A training that remembers a moment serves those, too, that need none.
        paths = {spec.name: _path(spec) for spec in specs}
        self._moments: dict[tuple[object, ...], float] = {}
        for spec in specs:
            moment = spec.phases[0].remember
            if moment is not None:
                self._moments.setdefault(paths[spec.name][:2], moment)
        for spec in specs:
            self._insert(spec, paths[spec.name])
        for node in self._nodes.values():  # parents were made before their children
            node.task = self._task(node)

    def tasks_of(self, spec: RunSpec) -> Iterator[Task]:
        """Yield what a run needs, and the run."""
        end = self._ends[spec.name]
        above: list[Task] = []
        node: _Node | None = end
        while node is not None:
            if node.task is not None and node.task.name != spec.name:
                above.append(node.task)
            node = node.parent
        yield from reversed(above)
        if end.task is not None and end.task.name == spec.name:
            yield end.task
        else:
            yield Task(spec, above[0].spec if above else None)

    def _insert(self, spec: RunSpec, path: tuple[object, ...]) -> None:
        own = spec.phases[0].remember
        moment = self._moments.get(path[:2]) if own is None else own
        node: _Node | None = None
        before: object = (path[0], moment)
        for depth, number in enumerate(path[1:], start=1):
            key = (before, number)
            found = self._nodes.get(key)
            if found is None:
                found = self._nodes[key] = _Node(node, depth, moment)
                if node is not None:
                    node.after += 1
            if found.first is None and _remembers(spec, found):
                found.first = spec
            node, before = found, id(found)
        assert node is not None
        node.ends.append(spec)
        self._ends[spec.name] = node

    def _task(self, node: _Node) -> Task | None:
        """Return what trains up to a node, if that is needed: a run that ends there, or one made for it."""
        above = node.parent
        while above is not None and above.task is None:
            above = above.parent
        parent = above.task.spec if above is not None and above.task is not None else None
        for spec in node.ends:
            if _remembers(spec, node):
                return Task(spec, parent)
        if node.first is None or node.after + len(node.ends) < 2:
            return None
        made = _up_to(node.first, node.depth)
        return None if made is None else Task(made, parent, measured=False)


def _remembers(spec: RunSpec, node: _Node) -> bool:
    """Say whether a run can train up to a node for others; what the first phase keeps is handed on."""
    return node.depth > 1 or spec.phases[0].remember == node.moment


def _path(spec: RunSpec) -> tuple[object, ...]:
    """Return what the training begins with, and then a number for what makes each phase what it is."""
    training = {key: value for key, value in spec.table["training"].items() if key != "epochs"}
    apart = ("compression", "quantization", "training")
    rest = {key: value for key, value in spec.table.items() if key not in apart}
    start = json.dumps([rest, training], sort_keys=True)
    compression = json.dumps(spec.table["compression"])
    return (start, *_numbers(compression, spec.recipe.training.epochs))


@lru_cache(maxsize=10_000)
def _numbers(compression: str, epochs: int) -> tuple[int, ...]:
    """Return the phases of a method and its settings, each as a number that equal phases share."""
    table = json.loads(compression)
    method = Method.model_validate(table)
    by_magnitude = type(method).masks is Method.masks
    # The sparsity of those that mask by magnitude stands in their phases.
    shared = [key for key in Method.model_fields if key != "sparsity"] if by_magnitude else table
    told = json.dumps({key: table[key] for key in shared}, sort_keys=True)
    pruned = not by_magnitude or method.measures_costs
    numbers = []
    for phase in method.plan(epochs):
        pruned = pruned or phase.sparsity > 0 or phase.ramp is not None
        numbers.append(_number(replace(phase, remember=None), told if pruned else ""))
    return tuple(numbers)


_KNOWN: dict[tuple[Phase, str], int] = {}


def _number(phase: Phase, pruning: str) -> int:
    return _KNOWN.setdefault((phase, pruning), len(_KNOWN))


def _up_to(spec: RunSpec, depth: int) -> RunSpec | None:
    """Return a run whose phases are the first of this one; None where no setting of its method makes one."""
    phases, method = spec.phases[:depth], spec.recipe.compression
    changes: dict[str, Any] = {"sparsity": phases[-1].sparsity}
    if method.last_phase_key is not None:
        changes[method.last_phase_key] = None
    try:
        made = Method.model_validate({**method.model_dump(), **changes})
    except (InputError, ValidationError):
        return None
    found = RunSpec({}, spec.recipe.model_copy(update={"compression": made}), spec.dense_epochs)
    try:
        return found if found.phases == phases else None
    except InputError:
        return None

"""Who does the runs of a study, where and in what order: executors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from winninghand.base import catalog
from winninghand.base.errors import InputError
from winninghand.base.files import is_full
from winninghand.base.registry import Registry
from winninghand.results import RunResult
from winninghand.studies.deck_tasks import DeckTask
from winninghand.studies.run_spec import RunSpec


@dataclass(frozen=True)
class Task:
    """A run to be done; it begins at the last checkpoint of `parent`, where there is one by then.

    One that is not `measured` is trained for others to go on from, and gets no card.
    """

    spec: RunSpec
    parent: RunSpec | None = None
    measured: bool = True

    @property
    def name(self) -> str:
        """The run's name."""
        return self.spec.name

    @property
    def asked(self) -> dict[str, Any]:
        """What results say of it that the study decides."""
        return self.spec.asked


AnyTask = Task | DeckTask
"""A run to be done, or a deck to be made of the cards of runs that are done."""


@dataclass(frozen=True)
class Done:
    """A task that was done, and what it found; nothing where it is not measured."""

    task: AnyTask
    result: RunResult | None


@dataclass(frozen=True)
class Failed:
    """A task that raised an error, at its last of so many attempts; the others go on."""

    task: AnyTask
    error: Exception
    attempts: int = 1


class BlockedError(InputError):
    """A run was not tried, as the one that it begins with did not end well."""


def check_parent(task: AnyTask, failed: Container[str]) -> None:
    """Raise `BlockedError` where the parent of a task is among those that failed."""
    if task.parent is not None and task.parent.name in failed:
        raise BlockedError(f"{task.parent.name}, which it begins with, did not end well")


Work = Callable[[AnyTask], RunResult | None]
"""Does one task. Everything it needs it carries along, so that it can be pickled."""


class Executor(ABC):
    """Does the tasks of a study.

    To add one, write a subclass in a file of its own and register it under a name, as an entry point of the
    group `winninghand.executors`. It is made without arguments; `winninghand study --executor NAME` takes it.
    """

    @abstractmethod
    def run(self, tasks: Iterable[AnyTask], work: Work) -> Iterator[Done | Failed]:
        """Yield each task once it has ended, in any order.

        In `tasks` every run comes after its parent; to draw a task from them announces it. Decks are given
        once all runs have ended, and have no parent. `work` is called once for each, in this process or in
        another one that sees the same files. What it raises is yielded as `Failed`, but for `OSError` and
        what a full disk causes, which concern the folder and thus all tasks, and are passed on. A task whose
        parent failed is yielded as `Failed`, `BlockedError`.
        """


class Serial(Executor):
    """Does one task after the other, in this process."""

    def run(self, tasks: Iterable[AnyTask], work: Work) -> Iterator[Done | Failed]:
        """Yield each task once it has ended, in their order."""
        failed: set[str] = set()
        for task in tasks:
            try:
                check_parent(task, failed)
                result = work(task)
            except OSError:
                raise
            except Exception as error:
                if is_full(error):
                    raise
                failed.add(task.name)
                yield Failed(task, error)
            else:
                yield Done(task, result)


EXECUTORS: Registry[type[Executor]] = catalog.EXECUTORS

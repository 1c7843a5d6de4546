"""Who does the runs of a study, where and in what order: executors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from winninghand.base import catalog
from winninghand.base.registry import Registry
from winninghand.results import RunResult
from winninghand.studies.run_spec import RunSpec


@dataclass(frozen=True)
class Task:
    """A run to be done; it begins at the last checkpoint of `parent`, where there is one by then."""

    spec: RunSpec
    parent: RunSpec | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.spec.name


@dataclass(frozen=True)
class Done:
    """A task that was done, and what it found."""

    task: Task
    result: RunResult


@dataclass(frozen=True)
class Failed:
    """A task that raised an error; the others go on."""

    task: Task
    error: Exception


Work = Callable[[Task], RunResult]
"""Does one task. Everything it needs it carries along, so that it can be pickled."""


class Executor(ABC):
    """Does the tasks of a study.

    To add one, write a subclass in a file of its own and register it under a name, as an entry point of the
    group `winninghand.executors`. It is made without arguments; `winninghand study --executor NAME` takes it.
    """

    @abstractmethod
    def run(self, tasks: Iterable[Task], work: Work) -> Iterator[Done | Failed]:
        """Yield each task once it has ended, in any order.

        In `tasks` every run comes after its parent; to draw a task from them announces it. `work` is called
        once for each, in this process or in another one that sees the same files. What it raises is yielded
        as `Failed`, but for `OSError`, which concerns the folder and thus all tasks, and is passed on.
        """


class Serial(Executor):
    """Does one task after the other, in this process."""

    def run(self, tasks: Iterable[Task], work: Work) -> Iterator[Done | Failed]:
        """Yield each task once it has ended, in their order."""
        for task in tasks:
            try:
                result = work(task)
            except OSError:
                raise
            except Exception as error:
                yield Failed(task, error)
            else:
                yield Done(task, result)


EXECUTORS: Registry[type[Executor]] = catalog.EXECUTORS

"""What became of the runs and decks of a study that failed or diverged."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.base.files import write_text
from winninghand.results.outcomes import Outcome, write_outcomes
from winninghand.studies.deck_tasks import DeckTask
from winninghand.studies.executors import AnyTask, BlockedError, Failed
from winninghand.training.callbacks import DivergedError

ATTEMPTS = 3
"""How often a run is tried that fails for another reason than its input."""


class RunsFailedError(RuntimeError):
    """Some runs or decks of a study failed; all others are done, and their results are written."""


class InputsFailedError(RunsFailedError, InputError):
    """The same, where it was the input's fault each time."""


@dataclass
class Failures:
    """What became of the runs that failed or diverged: told at once, written down, and told at the end."""

    out: Path
    results: Path
    announce: Callable[[str], None]
    outcomes: dict[str, Outcome]
    labels: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    _again: set[str] = field(default_factory=set)
    _diverged: set[str] = field(default_factory=set)

    def has_diverged(self, name: str) -> bool:
        """Say whether a run is done because its training diverged."""
        return name in self.outcomes and self.outcomes[name].kind == "diverged"

    def has_ended(self, deck: DeckTask) -> bool:
        """Say whether a deck cannot be, since one of its cards failed or diverged; it is told."""
        for name in deck.members:
            ended = self.outcomes.get(name)
            if ended is not None:
                error = f"{name}, which it plays, did not end well"
                self._end(Outcome(deck.name, ended.kind, 0, error, ended.log))
                self.announce(f"{deck.name} is not made: {error}; more in {self.out / ended.log}")
                return True
        return False

    def failed(self, ended: Failed) -> None:
        """Take in a run that failed, or whose training diverged, which is a result."""
        task, error = ended.task, ended.error
        if isinstance(error, BlockedError):
            self._blocked(task, error)
            return
        attempts = self.attempts[task.name] = self.attempts.get(task.name, 0) + ended.attempts
        log = Path("failures") / f"{task.name}.log"
        self._log(
            self.out / log, f"attempt {attempts}\n{''.join(traceback.format_exception(error))}", attempts
        )
        if isinstance(error, DivergedError):
            self._diverged.add(task.name)
            self._end(Outcome(task.name, "diverged", attempts, str(error), str(log)))
            self.announce(f"{task.name}: {error}; it is not tried again")
            return
        again = not isinstance(error, InputError) and attempts < ATTEMPTS
        if again:
            self._again.add(task.name)
        self.errors[task.name] = error
        told = str(error) or type(error).__name__
        self._end(Outcome(task.name, "failed", attempts, told, str(log)))
        what = f" at attempt {attempts} of {ATTEMPTS}" if again else ""
        self.announce(f"{task.name} failed{what}: {error}; more in {self.out / log}")

    def succeeded(self, task: AnyTask) -> None:
        """Forget what was told of a run that is done now."""
        (self.out / "failures" / f"{task.name}.log").unlink(missing_ok=True)
        self.errors.pop(task.name, None)
        if self.outcomes.pop(task.name, None) is not None:
            write_outcomes(self.outcomes.values(), self.results)

    def to_try_again(self, tasks: Sequence[AnyTask]) -> list[AnyTask]:
        """Return the tasks that are to be tried once more: those that failed, and what waits for them."""
        names, self._again = self._again, set()
        for task in tasks:
            if task.parent is not None and task.parent.name in names and task.name in self.errors:
                names.add(task.name)
        for name in names:
            self.errors.pop(name, None)
        return [task for task in tasks if task.name in names]

    def raise_failures(self, total: str) -> None:
        """Raise what says how many failed of all, if any did."""
        failed = {name: error for name, error in self.errors.items() if name in self.labels}
        if not failed:
            return
        name, first = next(iter(failed.items()))
        message = f"{len(failed)} of {total} failed, first {name}: {first}"
        if all(isinstance(error, InputError) for error in failed.values()):
            raise InputsFailedError(message)
        raise RunsFailedError(message) from first

    def _blocked(self, task: AnyTask, error: BlockedError) -> None:
        log = str(Path("failures") / f"{task.parent.name if task.parent else task.name}.log")
        if task.parent is not None and task.parent.name in self._diverged:
            self._diverged.add(task.name)
            self._end(Outcome(task.name, "diverged", 0, str(error), log))
        else:
            self.errors[task.name] = error
            self._end(Outcome(task.name, "failed", 0, str(error), log))
        if task.name in self.labels:
            self.announce(f"{task.name} is not tried: {error}; more in {self.out / log}")

    def _end(self, outcome: Outcome) -> None:
        if outcome.run in self.labels:  # of what is only gone on from, those that needed it tell
            self.outcomes[outcome.run] = outcome
            write_outcomes(self.outcomes.values(), self.results)

    def _log(self, path: Path, text: str, attempts: int) -> None:
        before = path.read_text(encoding="utf-8") if attempts > 1 and path.is_file() else ""
        write_text(f"{before}{text}", path)

"""Progress of long work on standard error: done, speed, time left."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from winninghand.base.errors import shown

Item = TypeVar("Item")

ProgressCallback = Callable[..., None]
_LOG = logging.getLogger(__name__)
_LONGEST = 1000
_SECONDS_BETWEEN = 0.5


class _Bar(Progress):
    """A bar, and its note in a line below, where a narrow terminal has room for it."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["note"]:
                yield Text(task.fields["note"], no_wrap=True, overflow="ellipsis")


class _Speed(ProgressColumn):
    """Units per second, as measured over the last while."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {task.fields['unit']}/s")


_held: list[str] = []


def say_with_progress(text: str) -> None:
    """Warn of something when progress is next told, and not before: what is refused is refused in one line.

    It takes the place of what was held back before.
    """
    _held[:] = [text]


def _say_held() -> None:
    while _held:
        _LOG.warning("%s", _held.pop())


def say_line(text: str) -> None:
    """Write one line on standard error; that it takes nothing more ends no work."""
    _say_held()
    with suppress(OSError, ValueError, AttributeError):  # None stands for a stream that is closed
        sys.stderr.write(f"{shown(text, _LONGEST)}\n")
        sys.stderr.flush()


def is_drawn() -> bool:
    """Say whether progress is drawn here, on a terminal or in a notebook; else it is told in lines."""
    console = Console(stderr=True)
    return console.is_terminal or console.is_jupyter


@contextmanager
def progress_bar(title: str, total: int, unit: str = "images", done: int = 0) -> Iterator[ProgressCallback]:
    """Show a bar while the block runs; it yields `progress(count, note)`.

    The bar is drawn where standard error is a terminal, and as one line of text in a notebook.
    """
    _say_held()
    console = Console(stderr=True)
    if console.is_jupyter:
        yield _NotebookLine(title, total, unit, done)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with _Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(shown(title), total=total, completed=done, unit=unit, note="")

        def progress(count: int, note: str = "") -> None:
            bar.update(task, advance=count, note=shown(note))

        yield progress


class _NotebookLine:
    """A line below a notebook's cell that is written anew, twice a second at most."""

    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        from IPython.display import display

        self._title, self._total, self._unit, self._begun = shown(title), total, unit, done
        self._done, self._started, self._shown = done, time.monotonic(), 0.0
        self._handle = display(self._line(""), raw=True, display_id=True)

    def __call__(self, count: int, note: str = "") -> None:
        """Count `count` more."""
        self._done += count
        now = time.monotonic()
        if now - self._shown >= _SECONDS_BETWEEN or self._done >= self._total:
            self._shown = now
            self._handle.update(self._line(shown(note)), raw=True)

    def _line(self, note: str) -> dict[str, str]:
        seconds = time.monotonic() - self._started
        text = f"{self._title}: {self._done:,} of {self._total:,} {self._unit}"
        if self._done > self._begun and seconds > 0:
            speed = (self._done - self._begun) / seconds
            text += f", {speed:,.0f} {self._unit}/s, {duration((self._total - self._done) / speed)} left"
        return {"text/plain": f"{text}; {note}" if note else text}


def duration(seconds: float) -> str:
    """Return a time as hours, minutes and seconds: `0:01:30`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def with_progress(items: Iterable[Item], title: str, total: int, unit: str) -> Iterator[Item]:
    """Yield the items, of which there are `total`, and show under a bar how many have come."""
    with progress_bar(title, total, unit) as progress:
        for item in items:
            progress(1)
            yield item

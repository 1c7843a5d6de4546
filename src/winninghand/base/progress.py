"""Progress of long work on standard error: done, speed, time left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
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


class _Speed(ProgressColumn):
    """Units per second, as measured over the last while."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {task.fields['unit']}/s")


@contextmanager
def progress_bar(title: str, total: int, unit: str = "images", done: int = 0) -> Iterator[ProgressCallback]:
    """Show a bar while the block runs; it yields `progress(count, note)`.

    The bar is drawn only where standard error is a terminal.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(shown(title), total=total, completed=done, unit=unit, note="")

        def progress(count: int, note: str = "") -> None:
            bar.update(task, advance=count, note=shown(note))

        yield progress


def with_progress(items: Iterable[Item], title: str, total: int, unit: str) -> Iterator[Item]:
    """Yield the items, of which there are `total`, and show under a bar how many have come."""
    with progress_bar(title, total, unit) as progress:
        for item in items:
            progress(1)
            yield item

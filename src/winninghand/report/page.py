"""One self-contained HTML page without a script: key figures, charts, tables, samples, what to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from winninghand.base.chart_style import coloured
from winninghand.base.charts import drawing
from winninghand.base.errors import shown
from winninghand.base.extras import needed
from winninghand.base.files import atomic_write
from winninghand.base.version import __version__

_ID = re.compile(r'(\bid="|url\(#|href="#)')


class Tile(NamedTuple):
    """A key figure: what it is, its value, and a note on it."""

    title: str
    value: str
    note: str = ""


class Shaded(NamedTuple):
    """A cell of a table whose ground says how much, `share` in [0, 1]."""

    text: str
    share: float


class Chart(NamedTuple):
    """A chart as SVG text, `wide` for screens and paper, `narrow` for telephones."""

    words: str
    wide: str
    narrow: str


class Strip(NamedTuple):
    """A row of sample images as a data URI, its name, and the words for who cannot see it."""

    name: str
    picture: str
    words: str


class Step(NamedTuple):
    """Something to do next, and the command that does it."""

    words: str
    command: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of texts and shaded cells; the first column names the row, the others are numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Shaded]]
    title: str = ""


@dataclass(frozen=True)
class Section:
    """What stands under one heading, in this order; `proved` are sentences to rely on."""

    title: str
    texts: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    strips: Sequence[Strip] = ()
    proved: Sequence[str] = ()
    steps: Sequence[Step] = ()


@dataclass(frozen=True)
class Page:
    """What stands on the page; `kind` says above the title what page it is."""

    kind: str
    title: str
    introduction: Sequence[str]
    tiles: Sequence[Tile]
    sections: Sequence[Section]

    def write(self, path: Path | str) -> None:
        """Write the page; it needs no other file, no network and no script."""
        numbers = count(1)
        text = rendered(
            "page.html.jinja",
            page=self,
            style=page_style(),
            version=__version__,
            inline=lambda svg: with_own_names(svg, f"g{next(numbers)}"),
        )
        with atomic_write(path) as tmp:
            tmp.write_text(text, encoding="utf-8")


def rendered(template: str, folder: str = "winninghand.report", **values: object) -> str:
    """Return a template of this package with its values; what they hold is text, and no markup."""
    jinja2 = template_engine()
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=without_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = files(folder).joinpath(template).read_text(encoding="utf-8")
    page: str = environment.from_string(text).render(**values)
    return page


def page_style() -> str:
    """Return the style sheet of all pages, with the colours of light and of dark ground."""
    return coloured(files("winninghand.report").joinpath("page.css").read_text(encoding="utf-8"))


def with_own_names(svg: str, prefix: str) -> str:
    """Return an SVG whose parts have names of their own, so that several can stand on a page."""
    return _ID.sub(rf"\1{prefix}-", svg)


def without_controls(value: object) -> object:
    """Return what a template prints without characters that turn a line's direction, or that HTML forbids."""
    # Text that is marked as safe, such as the chart's, is a class of its own.
    return shown(value, len(value)) if type(value) is str else value


def check_drawing() -> None:
    """Raise `InputError` where what a page with charts needs is not installed."""
    drawing()
    template_engine()


def template_engine() -> ModuleType:
    """Return jinja2; `InputError` says how to install it."""
    return needed("jinja2", "report", "to write pages")

"""One self-contained HTML page: a table of models, a chart and samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import ModuleType

from PIL import Image

from winninghand.base.errors import shown
from winninghand.base.extras import needed
from winninghand.base.files import atomic_write
from winninghand.report.samples import data_uri

_SCALE = 2


@dataclass(frozen=True)
class Page:
    """What stands on the page; `chart` is SVG text, `sheet` a contact sheet with a row per corruption."""

    title: str
    introduction: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    chart: str
    sheet: Image.Image
    corruptions: Sequence[str]

    def write(self, path: Path | str) -> None:
        """Write the page; it needs no other file and no network."""
        template = files("winninghand.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
        jinja2 = template_engine()
        environment = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined, finalize=without_controls
        )
        text = environment.from_string(template).render(
            vars(self)
            | {
                "sheet": data_uri(self.sheet, _SCALE),
                "row_height": _SCALE * self.sheet.height // len(self.corruptions),
            }
        )
        with atomic_write(path) as tmp:
            tmp.write_text(text, encoding="utf-8")


def without_controls(value: object) -> object:
    """Return what a template prints without characters that turn a line's direction, or that HTML forbids."""
    # Text that is marked as safe, such as the chart's, is a class of its own.
    return shown(value, len(value)) if type(value) is str else value


def template_engine() -> ModuleType:
    """Return jinja2; `InputError` says how to install it."""
    return needed("jinja2", "report", "to write pages")

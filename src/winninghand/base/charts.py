"""Charts as SVG and PNG in one style, drawn without a browser or a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from winninghand.base.chart_style import DARK, LIGHT, Look, vega_config
from winninghand.base.errors import InputError, counted, shown, with_article
from winninghand.base.extras import needed
from winninghand.base.files import atomic_write, checked_output
from winninghand.base.svg_room import with_dark_form, with_room

if TYPE_CHECKING:
    import altair

SUFFIXES = (".svg", ".png")

# Nothing is drawn below a title that is empty.
_AS_CAPTION = {"fontSize": 11, "fontWeight": "normal", "color": LIGHT["muted"]}

AnyChart = TypeVar("AnyChart", bound="altair.TopLevelMixin")


@runtime_checkable
class Picture(Protocol):
    """A picture that is no chart and can be written as one is."""

    def svg(self) -> str:
        """Return it as SVG text."""

    def png(self) -> bytes:
        """Return it as a PNG."""


def drawing() -> ModuleType:
    """Return altair; `InputError` says how to install what charts need."""
    _converter()
    return needed("altair", "report", "to draw charts")


def in_style(chart: AnyChart, title: str = "", caption: str | Sequence[str] = "") -> AnyChart:
    """Return a chart with a title, a caption below it, and the style of all charts.

    The caption says what the chart is made of: the data, how many images, which seeds.
    """
    lines = [caption] if isinstance(caption, str) else list(caption)
    lines = [shown(line) for line in lines if line]
    if title:
        chart = chart.properties(title=drawing().TitleParams(shown(title), subtitle=lines))
    elif lines:
        chart = chart.properties(title=drawing().TitleParams(lines, **_AS_CAPTION))
    styled: AnyChart = chart.configure(**vega_config(LIGHT))
    return styled


def caption_of(data: str, images: int, seed: int | None = None) -> str:
    """Return what a caption says first: the data, how many images, and the seed."""
    parts = [shown(data), counted(images, "image"), "" if seed is None else f"seed {seed}"]
    return ", ".join(part for part in parts if part)


def colour_of(field: str, looks: Mapping[str, Look], legend: altair.Legend) -> altair.Color:
    """Return the encoding of a series' colour."""
    scale = drawing().Scale(domain=list(looks), range=[LIGHT[look.colour] for look in looks.values()])
    colour: altair.Color = drawing().Color(f"{field}:N", title=None, scale=scale, legend=legend)
    return colour


def shape_of(field: str, looks: Mapping[str, Look], legend: altair.Legend) -> altair.Shape:
    """Return the encoding of a series' shape; with the same legend as its colour's there is one of both."""
    scale = drawing().Scale(domain=list(looks), range=[look.shape for look in looks.values()])
    shape: altair.Shape = drawing().Shape(f"{field}:N", title=None, scale=scale, legend=legend)
    return shape


def dash_of(field: str, looks: Mapping[str, Look]) -> altair.StrokeDash:
    """Return the encoding of a series' dashes; the legend shows colours and shapes."""
    scale = drawing().Scale(domain=list(looks), range=[look.dash for look in looks.values()])
    dash: altair.StrokeDash = drawing().StrokeDash(f"{field}:N", legend=None, scale=scale)
    return dash


def svg(picture: altair.TopLevelMixin | Picture) -> str:
    """Return a picture as SVG text, in light colours, and in dark ones where a screen asks for these.

    There is room for the widest of the usual fonts: a reader's browser may lack those that were measured.
    """
    if isinstance(picture, Picture):
        return picture.svg()
    text: str = _converter().vegalite_to_svg(picture.to_json())
    return with_dark_form(with_room(text), LIGHT, DARK)


def png(picture: altair.TopLevelMixin | Picture) -> bytes:
    """Return a picture as a PNG, a chart at two pixels for each of its units."""
    if isinstance(picture, Picture):
        return picture.png()
    content: bytes = _converter().vegalite_to_png(picture.to_json(), scale=2)
    return content


def save_picture(picture: altair.TopLevelMixin | Picture, path: Path | str) -> Path:
    """Write a chart or a contact sheet, as SVG or PNG by the suffix, whole or not at all; return the path.

    `picture` is what `table.plot()`, `deck.plot_choices(…)`, `heatmap.plot()` and `wh.contact_sheet(…)`
    return, or any chart of Altair's. An SVG has a dark form for screens that ask for one; a PNG is light, a
    chart with two pixels for each unit. Raises `InputError` for another suffix, for what is no picture, for a
    path that cannot be written to, and where what draws charts, the extra `report`, is not installed.
    """
    suffix = checked_picture_path(path).suffix.lower()
    if not isinstance(picture, Picture) and not hasattr(picture, "to_json"):
        raise InputError(
            f"a picture is a chart or a contact sheet, not {with_article(type(picture).__name__)}; "
            "give what table.plot() or contact_sheet(…) returns"
        )
    content = svg(picture).encode() if suffix == ".svg" else png(picture)
    with atomic_write(path) as tmp:
        tmp.write_bytes(content)
    return Path(path)


def checked_picture_path(path: Path | str, is_chart: bool = False) -> Path:
    """Return a path that a picture can be written to.

    Raises `InputError` for an unknown suffix, and for a chart where what is needed to draw is not installed.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"a picture is written as .svg or .png, not as {shown(repr(str(path)))}; rename it")
    if is_chart:
        drawing()
    return checked_output(path)


def _converter() -> ModuleType:
    return needed("vl_convert", "report", "to draw charts")


def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script for pages, which gives them to `window`."""
    text: str = _converter().javascript_bundle()
    return text.replace("</script", "<\\/script")

"""The page of a ticket: a proof that was run, its figures, and the results that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from winninghand.base.chart_style import looks
from winninghand.base.charts import colour_of, dash_of, drawing, in_style, shape_of, svg
from winninghand.base.files import atomic_write
from winninghand.report.page import template_engine, without_controls
from winninghand.theory.statements import Check, Statement

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True)
class Section:
    """A step of the proof: what is said, a table, and what is proved by it."""

    title: str
    texts: Sequence[str]
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    proved: Sequence[str] = ()


def write_theory_page(
    path: Path | str,
    title: str,
    introduction: Sequence[str],
    sections: Sequence[Section],
    statements: Sequence[tuple[Statement, Check]],
) -> None:
    """Write the page; it needs no other file and no network."""
    jinja2 = template_engine()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, finalize=without_controls
    )
    template = files("winninghand.report").joinpath("theory.html.jinja").read_text(encoding="utf-8")
    text = environment.from_string(template).render(
        title=title,
        introduction=introduction,
        sections=sections,
        statements=[statement for statement, _ in statements],
        charts=[svg(check_chart(check)) for _, check in statements],
    )
    with atomic_write(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def check_chart(check: Check) -> altair.LayerChart:
    """Return a chart of a check: what was measured as points and lines, bounds as dashed lines."""
    alt = drawing()
    rows = [
        {"series": point.series, "x": point.x, "y": point.y}
        for point in check.points
        if point.y > 0 or not check.logarithmic
    ]
    look = {
        name: one._replace(dash=[5, 4] if _is_bound(name) else [1, 0])
        for name, one in looks([point.series for point in check.points]).items()
    }
    across = alt.Scale(type="log" if check.x == "1/ε" else "linear", zero=False, nice=False)
    up = alt.Scale(type="log" if check.logarithmic else "linear")
    legend = alt.Legend()
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("x:Q", title=check.x, scale=across),
        y=alt.Y("y:Q", title=check.y, scale=up),
        color=colour_of("series", look, legend),
    )
    lines = base.mark_line(strokeWidth=2).encode(strokeDash=dash_of("series", look))
    points = base.mark_point(filled=True, opacity=1, size=40).encode(shape=shape_of("series", look, legend))
    chart: altair.LayerChart = (lines + points).properties(width=460, height=260)
    return in_style(chart)


def _is_bound(series: str) -> bool:
    return any(word in series for word in ("bound", "Hoeffding", "exact", "independent"))

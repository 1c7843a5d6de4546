"""The page of a ticket: a proof that was run, its figures, and the results that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from winninghand.base.chart_style import looks
from winninghand.base.charts import colour_of, dash_of, drawing, in_style, shape_of, svg
from winninghand.base.files import atomic_write
from winninghand.base.version import __version__
from winninghand.report.page import Chart, page_style, rendered
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
    """Write the page; it needs no other file, no network and no script."""
    text = rendered(
        "theory.html.jinja",
        title=title,
        introduction=introduction,
        sections=sections,
        statements=[(statement, _chart(check)) for statement, check in statements],
        style=page_style(),
        version=__version__,
    )
    with atomic_write(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def _chart(check: Check) -> Chart:
    return Chart(
        f"{check.y} against {check.x}", svg(check_chart(check)), svg(check_chart(check, narrow=True))
    )


def check_chart(check: Check, narrow: bool = False) -> altair.LayerChart:
    """Return a chart of a check: what was measured as points and lines, bounds as dashed lines.

    A narrow one has its legend below, and is readable on a telephone.
    """
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
    legend = alt.Legend(orient="bottom", columns=1) if narrow else alt.Legend()
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("x:Q", title=check.x, scale=across),
        y=alt.Y("y:Q", title=check.y, scale=up),
        color=colour_of("series", look, legend),
    )
    lines = base.mark_line(strokeWidth=2).encode(strokeDash=dash_of("series", look))
    points = base.mark_point(filled=True, opacity=1, size=40).encode(shape=shape_of("series", look, legend))
    chart: altair.LayerChart = (lines + points).properties(width=240 if narrow else 460, height=260)
    return in_style(chart)


def _is_bound(series: str) -> bool:
    return any(word in series for word in ("bound", "Hoeffding", "exact", "independent"))

"""The page of a ticket: a proof that was run, its figures, and the results that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from winninghand.base.files import atomic_write
from winninghand.report.charts import drawing, svg
from winninghand.report.page import template_engine, without_controls
from winninghand.theory.statements import Check, Statement


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
        charts=[check_chart(check) for _, check in statements],
    )
    with atomic_write(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def check_chart(check: Check) -> str:
    """Return an SVG of a check: what was measured as points and lines, bounds as dashed lines."""
    alt = drawing()
    rows = [
        {"series": point.series, "x": point.x, "y": point.y, "measured": not _is_bound(point.series)}
        for point in check.points
        if point.y > 0 or not check.logarithmic
    ]
    order = list(dict.fromkeys(point.series for point in check.points))
    across = alt.Scale(type="log" if check.x == "1/ε" else "linear", zero=False, nice=False)
    up = alt.Scale(type="log" if check.logarithmic else "linear")
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=alt.X("x:Q", title=check.x, scale=across),
            y=alt.Y("y:Q", title=check.y, scale=up),
            color=alt.Color("series:N", title=None, sort=order).scale(scheme="tableau10"),
            strokeDash=alt.StrokeDash("measured:N", legend=None).scale(
                domain=[True, False], range=[[1, 0], [5, 4]]
            ),
        )
        .properties(width=460, height=260)
    )
    return svg(chart)


def _is_bound(series: str) -> bool:
    return any(word in series for word in ("bound", "Hoeffding", "exact", "independent"))

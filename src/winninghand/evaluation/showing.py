"""Accuracies as people look at them: a chart, and HTML for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from winninghand.base.chart_style import COLOURS, DASHES, LIGHT, SHAPES, Look
from winninghand.base.charts import colour_of, dash_of, drawing, in_style, shape_of
from winninghand.base.html import Markup, html_table
from winninghand.corruptions import family_of

if TYPE_CHECKING:
    import altair

Accuracies = Mapping[tuple[str, int], float]
"""Accuracy, a fraction, by corruption and severity."""

_MEAN = "mean"


def chart_of(
    title: str, caption: str, clean: float, accuracies: Accuracies, narrow: bool = False
) -> altair.LayerChart:
    """Return a chart of accuracy by severity: thin lines for corruptions, a thick one for their mean.

    All lines begin at severity 0, with the accuracy on clean images. A narrow chart has its legend below, and
    is readable on a telephone.
    """
    alt = drawing()
    names = list(dict.fromkeys(name for name, _ in accuracies))
    rows = [_point(name, 0, clean) for name in (*names, _MEAN)]
    rows += [_point(name, severity, value) for (name, severity), value in accuracies.items()]
    for severity in sorted({severity for _, severity in accuracies}):
        values = [value for (_, level), value in accuracies.items() if level == severity]
        rows.append(_point(_MEAN, severity, mean(values)))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("severity:O", title="severity (0: clean)").axis(labelAngle=0),
        y=alt.Y("accuracy:Q", title="accuracy").scale(zero=False).axis(format=".0%"),
        tooltip=["corruption:N", "severity:O", alt.Tooltip("accuracy:Q", format=".2%")],
    )
    looks, legend = looks_of(names), _legend(narrow)
    single = base.transform_filter(alt.datum.corruption != _MEAN).encode(
        color=colour_of("corruption", looks, legend)
    )
    thin = single.mark_line(strokeWidth=1.2).encode(strokeDash=dash_of("corruption", looks))
    marks = single.mark_point(size=28, filled=True, opacity=1).encode(
        shape=shape_of("corruption", looks, legend)
    )
    thick = base.transform_filter(alt.datum.corruption == _MEAN).mark_line(strokeWidth=4, color=LIGHT["ink"])
    chart: altair.LayerChart = (thin + marks + thick).properties(width=240 if narrow else 420, height=320)
    return in_style(chart, title, caption)


def _legend(narrow: bool) -> altair.Legend:
    below = {"orient": "bottom", "columns": 2} if narrow else {}
    legend: altair.Legend = drawing().Legend(labelExpr="replace(datum.label, /_/g, ' ')", **below)
    return legend


def looks_of(names: Sequence[str]) -> dict[str, Look]:
    """Return a look for each corruption: a colour for its family, shapes and dashes within the family."""
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(family_of(name), []).append(name)
    return {
        name: Look(f"c{number % COLOURS}", SHAPES[place % len(SHAPES)], list(DASHES[place % len(DASHES)]))
        for number, members in enumerate(families.values())
        for place, name in enumerate(members)
    }


def _point(name: str, severity: int, accuracy: float) -> dict[str, Any]:
    return {"corruption": name, "severity": severity, "accuracy": accuracy}


def html_of(title: str, accuracies: Accuracies) -> str:
    """Return accuracies as HTML, a row for each corruption, low ones on a red ground."""
    severities = sorted({severity for _, severity in accuracies})
    rows = []
    for name in dict.fromkeys(name for name, _ in accuracies):
        found = [accuracies.get((name, severity)) for severity in severities]
        known = [value for value in found if value is not None]
        rows.append((name, *map(_coloured, found), _coloured(mean(known))))
    columns = ("corruption", *map(str, severities), _MEAN) if rows else ()
    return html_table(columns, rows, title)


def _coloured(accuracy: float | None) -> str:
    if accuracy is None:
        return ""
    style = f"background: rgba(220, 50, 30, {0.5 * (1 - accuracy):.2f}); padding: 0 0.5em"
    return Markup(f'<span style="{style}">{accuracy:.1%}</span>')

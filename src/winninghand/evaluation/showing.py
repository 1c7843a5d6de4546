"""Accuracies as people look at them: a chart, and HTML for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import TYPE_CHECKING, Any

from winninghand.base.extras import needed
from winninghand.base.html import Markup, html_table

if TYPE_CHECKING:
    import altair

Accuracies = Mapping[tuple[str, int], float]
"""Accuracy, a fraction, by corruption and severity."""

_MEAN = "mean"


def chart_of(title: str, clean: float, accuracies: Accuracies) -> altair.LayerChart:
    """Return a chart of accuracy by severity: thin lines for corruptions, a thick black one for their mean.

    All lines begin at severity 0, with the accuracy on clean images.
    """
    alt = needed("altair", "report", "to draw charts")
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
    # The scheme has twenty colours, the usual one ten, and there are fifteen corruptions in `common`.
    colour = alt.Color("corruption:N", title=None, sort=names).scale(scheme="tableau20").legend(symbolLimit=0)
    thin = (
        base.transform_filter(alt.datum.corruption != _MEAN).mark_line(strokeWidth=1.2).encode(color=colour)
    )
    thick = base.transform_filter(alt.datum.corruption == _MEAN).mark_line(
        strokeWidth=4, color="black", point=alt.OverlayMarkDef(color="black")
    )
    chart: altair.LayerChart = (thin + thick).properties(width=420, height=320, title=title)
    return chart


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

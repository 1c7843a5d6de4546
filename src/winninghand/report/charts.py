"""Charts of several models side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from winninghand.base.chart_style import looks
from winninghand.base.charts import colour_of, dash_of, drawing, in_style, shape_of
from winninghand.evaluation import RobustnessTable

if TYPE_CHECKING:
    import altair

_WIDE, _NARROW = (520, 300), (250, 240)


def accuracy_by_severity(
    tables: Mapping[str, RobustnessTable], caption: str = "", narrow: bool = False
) -> altair.LayerChart:
    """Return a chart of accuracy against severity, one line per model; severity 0 is clean.

    A narrow one has its legend below, and is readable on a telephone.
    """
    alt = drawing()
    rows = []
    for model, table in tables.items():
        rows.append({"model": model, "severity": 0, "accuracy": table.clean_accuracy})
        rows += [
            {"model": model, "severity": severity, "accuracy": table.by_severity(severity)}
            for severity in sorted({cell.severity for cell in table.cells})
        ]
    look = looks(list(tables))
    legend = alt.Legend(orient="bottom", columns=1) if narrow else alt.Legend()
    width, height = _NARROW if narrow else _WIDE
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("severity:O", title="severity of the corruptions (0: clean)").axis(labelAngle=0),
        y=alt.Y("accuracy:Q", title="accuracy").scale(zero=False).axis(format=".0%"),
        color=colour_of("model", look, legend),
    )
    lines = base.mark_line(strokeWidth=2).encode(strokeDash=dash_of("model", look))
    points = base.mark_point(filled=True, opacity=1, size=60).encode(shape=shape_of("model", look, legend))
    chart: altair.LayerChart = (lines + points).properties(width=width, height=height)
    return in_style(chart, caption=caption)

"""Charts as SVG text, drawn without a browser or a network."""

from __future__ import annotations

from collections.abc import Mapping

import altair
import vl_convert

from winninghand.evaluation import RobustnessTable


def accuracy_by_severity(tables: Mapping[str, RobustnessTable]) -> str:
    """Return an SVG of accuracy against severity, one line per model; severity 0 is clean."""
    rows = []
    for model, table in tables.items():
        rows.append({"model": model, "severity": 0, "accuracy": table.clean_accuracy})
        rows += [
            {"model": model, "severity": severity, "accuracy": table.by_severity(severity)}
            for severity in sorted({cell.severity for cell in table.cells})
        ]
    chart = (
        altair.Chart(altair.Data(values=rows))
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=altair.X("severity:O", title="severity of the corruptions (0: clean)").axis(labelAngle=0),
            y=altair.Y("accuracy:Q", title="accuracy").scale(zero=False).axis(format=".0%"),
            color=altair.Color("model:N", title=None, sort=list(tables)).scale(scheme="tableau10"),
        )
        .properties(width=520, height=300)
    )
    return svg(chart)


def svg(chart: altair.Chart | altair.LayerChart) -> str:
    """Return the chart as SVG text."""
    text: str = vl_convert.vegalite_to_svg(chart.to_json())
    return text

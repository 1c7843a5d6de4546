"""Charts as SVG text, drawn without a browser or a network."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from winninghand.base.extras import needed
from winninghand.evaluation import RobustnessTable

if TYPE_CHECKING:
    import altair


def accuracy_by_severity(tables: Mapping[str, RobustnessTable]) -> str:
    """Return an SVG of accuracy against severity, one line per model; severity 0 is clean."""
    alt = drawing()
    rows = []
    for model, table in tables.items():
        rows.append({"model": model, "severity": 0, "accuracy": table.clean_accuracy})
        rows += [
            {"model": model, "severity": severity, "accuracy": table.by_severity(severity)}
            for severity in sorted({cell.severity for cell in table.cells})
        ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=alt.X("severity:O", title="severity of the corruptions (0: clean)").axis(labelAngle=0),
            y=alt.Y("accuracy:Q", title="accuracy").scale(zero=False).axis(format=".0%"),
            color=alt.Color("model:N", title=None, sort=list(tables)).scale(scheme="tableau10"),
        )
        .properties(width=520, height=300)
    )
    return svg(chart)


def svg(chart: altair.Chart) -> str:
    """Return the chart as SVG text."""
    text: str = _converter().vegalite_to_svg(chart.to_json())
    return text


def png(chart: altair.Chart) -> bytes:
    """Return the chart as a PNG, at two pixels for each of its units."""
    content: bytes = _converter().vegalite_to_png(chart.to_json(), scale=2)
    return content


def drawing() -> ModuleType:
    """Return altair; `InputError` says how to install what charts need."""
    _converter()
    return needed("altair", "report", "to draw charts")


def _converter() -> ModuleType:
    return needed("vl_convert", "report", "to draw charts")


def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script for pages, which gives them to `window`."""
    text: str = _converter().javascript_bundle()
    return text.replace("</script", "<\\/script")

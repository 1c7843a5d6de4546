"""The report as one HTML file that needs no other, and no network."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from winninghand.base.chart_style import as_variables, vega_config
from winninghand.base.charts import library
from winninghand.base.files import atomic_write
from winninghand.base.version import __version__
from winninghand.report.page import page_style, rendered
from winninghand.report.study_page.charts import looks
from winninghand.report.study_page.figure import MEAN, Figure, is_mean
from winninghand.report.study_page.report import Report

_DIGITS = 6
_FOLDER = "winninghand.report.study_page"


def write_page(report: Report, path: Path | str) -> None:
    """Write the page: words, charts and tables that filters act on; it can be read without a script."""
    text = rendered(
        "page.html.jinja",
        _FOLDER,
        report=report,
        mean=MEAN,
        is_mean=is_mean,
        version=__version__,
        style=page_style() + _part("study.css"),
        script=_part("page.js"),
        library=library(),
        data=_as_script(_payload(report)),
    )
    with atomic_write(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def _payload(report: Report) -> dict[str, Any]:
    """Return what the script draws from: rows, charts, and the look of each series."""
    return {
        "figures": {figure.name: _figure(figure) for figure in report.figures},
        "looks": looks(report.series),
        "config": vega_config(as_variables(), ground="transparent"),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    rows = [
        {key: _value(value) for key, value in row.items() if value not in (None, "")} for row in figure.rows
    ]
    return {
        "rows": rows,
        "specs": [chart.spec for chart in figure.charts],
        "maps": figure.maps,
        "everySeed": figure.every_seed,
    }


def _value(value: object) -> object:
    return round(value, _DIGITS) if isinstance(value, float) else value


def _as_script(payload: object) -> str:
    """Return JSON that ends no element of HTML, whatever texts it holds."""
    text = json.dumps(payload, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _part(name: str) -> str:
    return files(_FOLDER).joinpath(name).read_text(encoding="utf-8")

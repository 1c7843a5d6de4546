"""What robust accuracy costs: the zoo's models by the bytes of their files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from winninghand.base.chart_style import LIGHT
from winninghand.base.charts import caption_of, drawing, in_style
from winninghand.results import ZooRecord

if TYPE_CHECKING:
    import altair

_KINDS = ("dense network", "card", "deck")
_COLOURS, _SHAPES = [LIGHT[name] for name in ("dense", "c0", "deck")], ("circle", "square", "diamond")

# Where a name stands, by how many points lie close to its own and have theirs already.
_SIDES: tuple[dict[str, Any], ...] = (
    {"align": "right", "dx": -7, "dy": -9},
    {"align": "center", "dy": 15},
    {"align": "left", "dx": 9},
)

# In powers of ten, and in accuracy.
_CLOSE = 0.4, 0.004


def robust_by_size(models: Sequence[ZooRecord]) -> altair.LayerChart:
    """Return a chart of robust accuracy against bytes, a point per model and a line at the dense network."""
    alt = drawing()
    rows = [
        {
            "model": model.name.partition("-")[2],
            "kind": _KINDS[0] if "-dense-" in model.name else model.kind,
            "kilobytes": model.bytes / 1000,
            "robust": model.full.robust_accuracy,
        }
        for model in sorted(models, key=lambda model: model.bytes)
    ]
    x = alt.X("kilobytes:Q", title="kilobytes of the file").scale(type="log", domain=[50, 10_000])
    x = x.axis(values=[100, 300, 1000, 3000, 10_000], grid=False)
    y = alt.Y("robust:Q", title="accuracy on corrupted images").scale(zero=False, padding=12)
    y = y.axis(format=".0%", tickCount=6)
    points = (
        _of(rows)
        .mark_point(filled=True, opacity=1, size=90)
        .encode(
            x=x,
            y=y,
            color=alt.Color("kind:N", title=None).scale(domain=_KINDS, range=_COLOURS),
            shape=alt.Shape("kind:N", title=None).scale(domain=_KINDS, range=_SHAPES),
        )
    )
    dense = _of([row for row in rows if row["kind"] == _KINDS[0]])
    line = dense.mark_rule(strokeDash=[4, 3], color=LIGHT["front"]).encode(y=y)
    names = [
        _of([row for place, row in enumerate(rows) if _neighbours(rows, place) == number])
        .mark_text(baseline="middle", **side)
        .encode(x=x, y=y, text="model:N")
        for number, side in enumerate(_SIDES)
    ]
    measured_on = dict.fromkeys((model.data, model.full.images) for model in models)
    chart: altair.LayerChart = alt.layer(line, points, *names).properties(width=520, height=300)
    return in_style(chart, caption=[caption_of(*measured) for measured in measured_on])


def _of(rows: list[dict[str, Any]]) -> altair.Chart:
    alt = drawing()
    chart: altair.Chart = alt.Chart(alt.Data(values=rows))
    return chart


def _neighbours(rows: list[dict[str, Any]], place: int) -> int:
    """Return how many of the points before this one lie so close that the names would meet; 2 at most."""
    kilobytes, robust = rows[place]["kilobytes"], rows[place]["robust"]
    close = [
        abs(math.log10(row["kilobytes"] / kilobytes)) < _CLOSE[0] and abs(row["robust"] - robust) < _CLOSE[1]
        for row in rows[:place]
    ]
    return min(close.count(True), len(_SIDES) - 1)

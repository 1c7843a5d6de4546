"""Who plays when, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair

from winninghand.report.charts import svg


def choices_by_cell(shares: Sequence[dict[str, Any]]) -> str:
    """Return an SVG: per card a grid of corruptions × severities, shaded by the card's mean weight.

    Each row of `shares` has `corruption`, `severity`, `card` and `weight`.
    """
    corruptions = list(dict.fromkeys(row["corruption"] for row in shares))
    cards = list(dict.fromkeys(row["card"] for row in shares))
    grid = (
        altair.Chart(altair.Data(values=list(shares)))
        .mark_rect()
        .encode(
            x=altair.X("severity:O", title="severity").axis(labelAngle=0),
            y=altair.Y("corruption:N", title=None, sort=corruptions),
            color=altair.Color("weight:Q", title="weight").scale(scheme="viridis", domain=[0, 1]),
            column=altair.Column("card:N", title=None, sort=cards),
        )
        .properties(width=130, height=16 * len(corruptions))
    )
    return svg(grid)

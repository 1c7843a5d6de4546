"""The report's figure of Fourier heatmaps."""

from __future__ import annotations

from collections.abc import Sequence

from winninghand.report.study_page.charts import frequency_maps
from winninghand.report.study_page.figure import (
    MEAN,
    Chart,
    Figure,
    number,
    percent,
    words,
)
from winninghand.report.study_page.shown import Shown
from winninghand.results import Results

_MOST_CELLS = 64
"""Of a map along each side; a finer one is drawn by means over its neighbours."""


def fourier_figure(results: Results, cards: Sequence[Shown]) -> Figure | None:
    """Return the error of chosen cards under one added spatial frequency at a time."""
    singles = {card.runs[0].name: card for card in cards if card.seed != MEAN}
    rows, maps = [], []
    for run, heatmap in results.fourier.items():
        if run not in singles:
            continue
        card, coarse = singles[run], heatmap.coarse(_MOST_CELLS)
        vertical, horizontal = heatmap.worst_frequency
        label = f"{card.place.label} · seed {card.seed}"
        bands = dict(zip(("low", "middle", "high"), heatmap.bands(3), strict=True))
        rows.append(
            card.row(
                label=label,
                clean_error=heatmap.clean_error,
                mean_error=heatmap.mean_error,
                **bands,
                worst=float(heatmap.errors.max()),
                at=f"{vertical}, {horizontal}",
                norm=heatmap.norm,
                images=heatmap.images,
            )
        )
        apart = -(-max(heatmap.errors.shape) // _MOST_CELLS)
        maps.append([[round(error, 4) for error in line] for line in coarse.tolist()])
    if not rows:
        return None
    columns = [
        words("card", "label"),
        percent("clean", "clean_error"),
        percent("mean over frequencies", "mean_error"),
        percent("low", "low"),
        percent("middle", "middle"),
        percent("high", "high"),
        percent("worst", "worst"),
        words("at (vertical, horizontal)", "at"),
        number("norm", "norm", "g"),
        number("images", "images"),
    ]
    return Figure(
        "fourier",
        "Fourier heatmaps",
        "Error with one spatial frequency added to each image; zero frequency stands in the middle. Table: "
        "error in percent, over all frequencies, and over the lowest, middle and highest third of those up "
        "to the largest along one axis.",
        columns,
        rows,
        [
            Chart(
                "Error by spatial frequency",
                frequency_maps(len(maps[0]), len(maps[0][0]), apart, [row["label"] for row in rows]),
            )
        ],
        maps,
        every_seed=True,
    )

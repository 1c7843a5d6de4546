"""Sections that pages of models have in common: accuracies by corruption, who plays when, sample images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np
from PIL import Image

from winninghand.base.charts import svg
from winninghand.base.errors import spaced
from winninghand.cards import Card
from winninghand.decks.choices import Choices, card_names, choices_chart
from winninghand.evaluation import CLEAN, RobustnessTable
from winninghand.evaluation.showing import chart_of
from winninghand.report.charts import accuracy_by_severity
from winninghand.report.page import Chart, Section, Shaded, Strip, Table
from winninghand.report.samples import ContactSheet, data_uri

_WIDE = 680
_SHADED = (
    "Top-1 accuracy in percent. The deeper the ground of a cell, the more images were answered wrongly; "
    "severity 1 is the weakest, 5 the strongest."
)


def accuracy_section(table: RobustnessTable, caption: str) -> Section:
    """Return a model's accuracy by severity as a chart, and by corruption and severity as a table."""
    cells = {(cell.corruption, cell.severity): cell.accuracy for cell in table.cells}
    levels = sorted({level for _, level in cells})
    rows: list[list[str | Shaded]] = []
    for name in table.corruptions:
        found = [cells.get((name, level)) for level in levels]
        known = [value for value in found if value is not None]
        rows.append(
            [spaced(name), *("" if one is None else _shaded(one) for one in found), _shaded(mean(known))]
        )
    means = [_shaded(table.by_severity(level)) for level in levels]
    rows.append(["mean", *means, _shaded(table.robust_accuracy)])
    wide, narrow = (chart_of("", caption, table.clean_accuracy, cells, one) for one in (False, True))
    return Section(
        "Corruption by corruption",
        [_SHADED],
        [
            Chart(
                "Accuracy by severity; the thick line is the mean",
                svg(wide.properties(width=_WIDE)),
                svg(narrow),
            )
        ],
        [Table(["corruption", *(f"severity {level}" for level in levels), "mean"], rows)],
    )


def models_section(tables: Mapping[str, RobustnessTable], caption: str) -> Section:
    """Return the accuracies of several models by severity as a chart, and by corruption as a table."""
    rows: list[list[str | Shaded]] = [["clean", *(_shaded(one.clean_accuracy) for one in tables.values())]]
    for name in next(iter(tables.values())).corruptions:
        found = [
            mean(cell.accuracy for cell in one.cells if cell.corruption == name) for one in tables.values()
        ]
        rows.append([spaced(name), *map(_shaded, found)])
    rows.append(["mean of the corruptions", *(_shaded(one.robust_accuracy) for one in tables.values())])
    wide, narrow = (accuracy_by_severity(tables, caption, one) for one in (False, True))
    wide = wide.properties(width=_WIDE)
    return Section(
        "Corruption by corruption",
        [
            "Top-1 accuracy in percent, the mean over severities. The deeper the ground of a cell, the more "
            "images were answered wrongly."
        ],
        [Chart("Accuracy by severity of the corruptions", svg(wide), svg(narrow))],
        [Table(["corruption", *tables], rows)],
    )


def choices_in(table: RobustnessTable, cards: Sequence[Card]) -> Choices | None:
    """Return whom a deck of these cards played when; None where no weights were measured."""
    cells = [((CLEAN, 0), table.clean)]
    cells += [((cell.corruption, cell.severity), cell.outcome) for cell in table.cells]
    weights = [one.mean_weights for _, one in cells if one.weights is not None]
    if len(weights) < len(cells):
        return None
    conditions = tuple(place for place, _ in cells)
    found = np.array(weights)
    return Choices(conditions, card_names(cards), found, len(table.clean.correct), table.seed)


def choices_section(choices: Choices, caption: str) -> Section:
    """Return whom a deck plays when, as a chart and as a table."""
    rows: list[list[str | Shaded]] = [
        [spaced(name), *(Shaded(f"{100 * weight:.0f}", weight) for weight in weights)]
        for name, weights in choices.by_corruption().items()
    ]
    wide = svg(choices_chart(choices.rows(), caption=caption))
    narrow = svg(choices_chart(choices.rows(), caption=caption, columns=1))
    return Section(
        "Who plays when",
        [
            "The mean weight that the gate gave each card, in percent; in the table over all severities. A "
            "card of weight 0 is not run."
        ],
        [Chart("Weight of each card by corruption and severity", wide, narrow)],
        [Table(["corruption", *choices.cards], rows)],
    )


def samples_section(sheet: ContactSheet) -> Section:
    """Return what the corruptions look like, a strip of images for each."""
    first, *others = sheet.columns
    levels = f"{first}, then severity {', '.join(others)}"
    return Section(
        "What the corruptions look like",
        [f"Each strip shows one image from left to right: {levels}."],
        strips=[
            Strip(spaced(name), data_uri(Image.fromarray(strip)), f"an image under {spaced(name)}: {levels}")
            for name, strip in zip(sheet.names, sheet.strips, strict=True)
        ],
    )


def _shaded(accuracy: float) -> Shaded:
    return Shaded(f"{100 * accuracy:.1f}", 1 - accuracy)

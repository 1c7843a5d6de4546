"""The report's figures of cards: accuracies, corruptions and calibration."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from winninghand.base.errors import spaced
from winninghand.report.aggregation import (
    Spread,
    by_family,
    corruptions_of,
    mean_accuracy,
    without_overlap,
)
from winninghand.report.study_page.against_dense import dense_of, of_common_seeds
from winninghand.report.study_page.charts import (
    by_sparsity,
    corruption_map,
    dumbbells,
    place_x,
)
from winninghand.report.study_page.figure import (
    MEAN,
    Chart,
    Column,
    Figure,
    interval,
    number,
    percent,
    points,
    spread,
    words,
)
from winninghand.report.study_page.shown import Shown
from winninghand.results import RunResult


def accuracy_figure(cards: Sequence[Shown], runs: Sequence[RunResult]) -> Figure:
    """Return clean and robust accuracy against sparsity."""
    series = list(dict.fromkeys(card.place.series for card in cards))
    others = [one for one in series if one != "dense"]
    names = corruptions_of(runs)
    kept = without_overlap(runs, names)
    selections = {f"family_{name}": some for name, some in by_family(names).items()}
    if len(kept) < len(names):
        selections["no_overlap"] = kept
    rows = []
    for card in cards:
        middle = others.index(card.place.series) if card.place.series in others else (len(others) - 1) / 2
        means = {key: _spread(key, card.runs, some) for key, some in selections.items()}
        rows.append(
            card.row(
                panel=_panel(card, cards),
                x=place_x(card.place.sparsity, middle, len(others)),
                **card.accuracy("clean"),
                **card.accuracy("robust"),
                **{key: value for mean in means.values() for key, value in mean.items()},
            )
        )
    columns = [
        spread("clean", "clean"),
        spread("robust", "robust"),
        interval("95% interval, clean", "clean"),
        interval("95% interval, robust", "robust"),
        *(spread(spaced(key.removeprefix("family_")), key) for key in selections),
    ]
    sparsities = [card.place.sparsity for card in cards]
    protocols = list(dict.fromkeys(row["protocol"] for row in rows if row["protocol"]))
    panels = [
        panel + (f" · {protocol}" if len(protocols) > 1 else "")
        for panel in dict.fromkeys(row["panel"] for row in rows)
        for protocol in protocols or [""]
    ]
    return Figure(
        "accuracy",
        "Accuracy against sparsity",
        "Large marks are means over seeds, small ones single seeds, and bars 95% bootstrap intervals over "
        "the test images. The dotted line is the dense network. Table: percent, mean ± standard deviation "
        "over seeds; robust is the mean over all corruptions and severities"
        + (
            "; “no overlap” leaves out corruptions that a domain trains on."
            if len(kept) < len(names)
            else "."
        ),
        _of(cards, columns),
        rows,
        [
            Chart(
                f"{kind.capitalize()} accuracy",
                by_sparsity(kind, f"{kind} accuracy", series, sparsities, panels),
            )
            for kind in ("robust", "clean")
            if any(kind in row for row in rows)
        ],
    )


def _of(cards: Iterable[Shown], columns: Iterable[Column]) -> list[Column]:
    """Return what says which card a row is of, the columns, and last what says of which seeds it is."""
    cards = list(cards)
    several = [key for key in ("network", "protocol") if len({getattr(one.place, key) for one in cards}) > 1]
    place = [words(key, key) for key in ("domain", *several)]
    seeds = [words("seed", "seed"), number("seeds", "seeds")]
    return [words("card", "series"), *place, percent("sparsity", "sparsity", 1), *columns, *seeds]


def _panel(card: Shown, cards: Sequence[Shown]) -> str:
    """Return the panel of a card, within which the page's script divides the protocols."""
    keys = [key for key in ("network", "domain") if len({getattr(one.place, key) for one in cards}) > 1]
    return " · ".join(getattr(card.place, key) for key in keys or ["domain"])


def _spread(key: str, runs: Sequence[RunResult], names: Sequence[str]) -> dict[str, Any]:
    found = Spread.of([mean_accuracy(run, names) for run in runs])
    return {} if found is None else {key: found.mean, f"{key}_std": found.std}


def corruption_figures(cards: Sequence[Shown], runs: Sequence[RunResult]) -> list[Figure]:
    """Return accuracy by card and corruption, and how far it is from the dense network's."""
    names = [name for family in by_family(corruptions_of(runs)).values() for name in family]
    keys = {f"c{place}": name for place, name in enumerate(names)}
    labels = [card.place.label for card in cards if card.seed == MEAN]
    rows, differences = [], []
    known: dict[tuple[str, ...], dict[str, float | None]] = {}

    def means(card: Shown) -> dict[str, float | None]:
        names = tuple(run.name for run in card.runs)
        if names not in known:  # a dense network is compared with many cards
            known[names] = _means(card.runs, keys)
        return known[names]

    for card in cards:
        rows.append(card.row(**means(card)))
        dense = dense_of(card, cards)
        if dense is not None:
            mine, theirs = (means(one) for one in of_common_seeds(card, dense))
            values = {key: _less(mine[key], theirs[key]) for key in keys}
            differences.append(card.row(dense=dense.place.label, **values))
    columns = [percent(spaced(name), key, name=name) for key, name in keys.items()]
    figures = [
        Figure(
            "corruptions",
            "Methods and corruptions",
            "Accuracy under each corruption, mean over severities and seeds, percent.",
            _of(cards, columns),
            rows,
            [Chart("Accuracy, percent", corruption_map(keys, labels, "accuracy"))],
        )
    ]
    if differences:
        columns = [words("against", "dense")]
        columns += [points(spaced(name), key, name=name) for key, name in keys.items()]
        figures.append(
            Figure(
                "corruptions-against-dense",
                "Corruptions, against the dense network",
                "By how many points a card's accuracy exceeds that of the dense network of the same kind, "
                "trained under the same domain where there is such a one, otherwise under clean, over the "
                "seeds that both have.",
                _of(cards, columns),
                differences,
                [
                    Chart(
                        "Points above (blue) or below (orange) the dense network",
                        corruption_map(keys, labels, "points", difference=True),
                    )
                ],
            )
        )
    return figures


def _means(runs: Sequence[RunResult], keys: Mapping[str, str]) -> dict[str, float | None]:
    """Return the mean accuracy of runs under each corruption, by the key of its name."""
    found = {key: Spread.of([mean_accuracy(run, [name]) for run in runs]) for key, name in keys.items()}
    return {key: None if mean is None else mean.mean for key, mean in found.items()}


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def calibration_figure(cards: Sequence[Shown]) -> Figure:
    """Return how far confidence is from accuracy, on clean and on corrupted images."""
    rows = []
    for card in cards:
        values: dict[str, float] = {}
        for short, key in (("ece", "expected_calibration_error"), ("rms", "rms_calibration_error")):
            values[f"{short}_clean"] = statistics.mean(getattr(run.clean, key) for run in card.runs)
            cells = [getattr(cell, key) for run in card.runs for cell in run.cells]
            if cells:
                values[f"{short}_corrupted"] = statistics.mean(cells)
        rows.append(card.row(**values))
    columns = [
        percent("ECE, clean", "ece_clean"),
        percent("ECE, corrupted", "ece_corrupted"),
        percent("RMS, clean", "rms_clean"),
        percent("RMS, corrupted", "rms_corrupted"),
    ]
    ends = {"ece_clean": "clean images", "ece_corrupted": "corrupted images, mean over all cells"}
    return Figure(
        "calibration",
        "Calibration",
        "The expected calibration error (ECE) is the mean gap between confidence and accuracy in 15 bins of "
        "confidence; less is better. Table: percent, with the root mean square (RMS) of the same gaps.",
        _of(cards, columns),
        rows,
        [Chart("Expected calibration error", dumbbells(ends, "label", "expected calibration error", ".0%"))],
    )

"""The result of the corruption benchmark for one model; long, as each figure stands by what makes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import InputError, counted
from winninghand.base.extras import needed
from winninghand.corruptions import family_of, group_of

if TYPE_CHECKING:
    import altair

CLEAN = "clean"

Source = Literal["split", "archive", "generated"]
UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64] | npt.NDArray[np.bool_]
Confidence = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_RESAMPLES, _RESAMPLES_AT_ONCE = 2000, 100

BINS = 15
"""Bins of equal width that confidences are sorted into for the calibration errors."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% interval, where nothing else is said by percentile bootstrap (Efron 1979)."""

    mean: float
    low: float
    high: float

    @property
    def in_points(self) -> str:
        """A difference of accuracies as people read it, in points: `+1.48 (+0.85 to +2.18)`."""
        return f"{100 * self.mean:+.2f} ({100 * self.low:+.2f} to {100 * self.high:+.2f})"


@dataclass(frozen=True)
class Outcome:
    """Per image: was the model right, how sure was it, how many networks were run.

    `correct` is bool (N,), `confidence` the probability of the answer, float32 (N,) in [0, 1],
    `passes` the number of forward passes, float32 (N,); 1 for anything that is not a deck. `weights` is what
    a deck's gate gave each card, float32 (N, cards); None for anything else, and where it was not kept.
    """

    correct: npt.NDArray[np.bool_]
    confidence: npt.NDArray[np.float32]
    passes: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        return f"Outcome({self.accuracy:.1%} of {counted(len(self.correct), 'image')})"

    @property
    def accuracy(self) -> float:
        """Fraction of the images answered rightly."""
        return float(self.correct.mean())

    @property
    def mean_passes(self) -> float:
        """Mean number of networks run per image."""
        return float(self.passes.mean())

    @property
    def mean_weights(self) -> tuple[float, ...] | None:
        """The mean weight that a deck's gate gave each card; None where weights were not kept."""
        if self.weights is None:
            return None
        return tuple(self.weights.mean(axis=0, dtype=np.float64).tolist())

    @property
    def expected_calibration_error(self) -> float:
        """Mean gap between accuracy and confidence: see `expected_calibration_error`."""
        return expected_calibration_error(self.correct, self.confidence)

    def at(self, places: Int64Array) -> Outcome:
        """Return the outcome on the images at `places` (M,)."""
        weights = None if self.weights is None else self.weights[places]
        return Outcome(self.correct[places], self.confidence[places], self.passes[places], weights)

    def figures(self) -> dict[str, float]:
        """Return accuracy with its 95% interval, calibration errors and mean passes."""
        interval = bootstrap(self.correct)
        return {
            "accuracy": self.accuracy,
            "accuracy_low": interval.low,
            "accuracy_high": interval.high,
            "expected_calibration_error": self.expected_calibration_error,
            "rms_calibration_error": rms_calibration_error(self.correct, self.confidence),
            "mean_passes": self.mean_passes,
        }


@dataclass(frozen=True)
class Cell:
    """One corruption at one severity, and where its images came from.

    The images as they are have the corruption `clean`, severity 0 and the source `split`.
    """

    corruption: str
    severity: int
    outcome: Outcome
    source: Source = "generated"

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which images were answered rightly, bool (N,)."""
        return self.outcome.correct

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy, a fraction."""
        return self.outcome.accuracy

    @property
    def mean_passes(self) -> float:
        """Mean number of networks run per image."""
        return self.outcome.mean_passes

    def row(self) -> dict[str, Any]:
        """Return place and figures as plain values."""
        place = {"corruption": self.corruption, "severity": self.severity, "source": self.source}
        return {**place, **self.outcome.figures()}


class Answered(Protocol):
    """Figures over some images."""

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which images were answered rightly, bool (N,)."""

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy, a fraction."""

    @property
    def mean_passes(self) -> float:
        """Mean number of networks run per image."""


class AnsweredCell(Answered, Protocol):
    """Figures of one cell."""

    @property
    def corruption(self) -> str:
        """The corruption."""

    @property
    def severity(self) -> int:
        """Its severity, in 1..5."""

    @property
    def source(self) -> str:
        """Where its images came from."""


def check_each_once(cells: Iterable[AnsweredCell]) -> None:
    """Raise `InputError` for a cell that would count twice, and for clean images among the cells."""
    counts = Counter((cell.corruption, cell.severity) for cell in cells)
    for (corruption, severity), count in counts.items():
        if count > 1 or corruption == CLEAN:
            raise InputError(f"the cell {corruption} {severity} is there {count}×; give it once")


class Measured:
    """Clean and corrupted accuracy of one model over the same images, just measured or long ago.

    `clean` is measured on the images as they are, `cells` under each corruption at each severity;
    `seed` is that of the sample and of the corruptions.
    """

    clean: Answered
    cells: Sequence[AnsweredCell]
    seed: int

    @property
    def clean_accuracy(self) -> float:
        """Top-1 accuracy on the images as they are, a fraction."""
        return self.clean.accuracy

    @property
    def robust_accuracy(self) -> float:
        """Plain mean of the top-1 accuracies of all cells, a fraction; NaN without cells."""
        return float(np.mean([cell.accuracy for cell in self.cells])) if self.cells else float("nan")

    @cached_property
    def clean_interval(self) -> Interval:
        """The clean accuracy with its 95% bootstrap interval over images."""
        return bootstrap(self.clean.correct)

    @cached_property
    def robust_interval(self) -> Interval | None:
        """The robust accuracy with its 95% bootstrap interval over images; None without cells."""
        return bootstrap(self.robust_correct) if self.cells else None

    @property
    def worst_cell(self) -> AnsweredCell | None:
        """The cell of the lowest accuracy; None without cells."""
        return min(self.cells, key=lambda cell: cell.accuracy, default=None)

    @property
    def mean_passes(self) -> float:
        """Mean number of networks run per image, over the cells (over the clean images without cells)."""
        measured: Sequence[Answered] = self.cells or [self.clean]
        return float(np.mean([cell.mean_passes for cell in measured]))

    @property
    def corruptions(self) -> tuple[str, ...]:
        """The corruptions that the robust accuracy is a mean over."""
        return tuple(dict.fromkeys(cell.corruption for cell in self.cells))

    @property
    def robust_correct(self) -> npt.NDArray[np.float64]:
        """Per image, the fraction of the cells answered rightly, float64 (N,)."""
        correct = np.stack([cell.correct for cell in self.cells])
        return np.asarray(correct.mean(axis=0), dtype=np.float64)

    @property
    def families(self) -> dict[str, float]:
        """Mean accuracy over the cells of each family of corruptions that was measured."""
        return self._means_by(family_of)

    @property
    def groups(self) -> dict[str, float]:
        """Mean accuracy over the cells of each group that was measured, such as `common` and `bar`."""
        return self._means_by(group_of)

    def _means_by(self, kind_of: Callable[[str], str]) -> dict[str, float]:
        """Return the mean accuracy over the cells of each kind of corruption."""
        by_kind: dict[str, list[float]] = {}
        for cell in self.cells:
            by_kind.setdefault(kind_of(cell.corruption), []).append(cell.accuracy)
        return {kind: float(np.mean(accuracies)) for kind, accuracies in by_kind.items()}

    def by_severity(self, severity: int) -> float:
        """Mean accuracy over the corruptions at one severity."""
        return float(np.mean([cell.accuracy for cell in self.cells if cell.severity == severity]))


@dataclass(frozen=True)
class RobustnessTable(Measured):
    """Clean and corrupted accuracy of one model over the same images, as it was measured.

    `missing` names the corruptions that were asked for and are not available, with the reason:
    the robust accuracy is a mean over the others only. `adaptation` is the prior of the batch-norm
    adaptation that was on, in images, None where it was off. `order` says which corrupted images came
    together: see `Measurement`. `parameters` names the published set whose severities generated images
    have. `saved_as` says how these were saved; where none was generated, how those of the archive are.
    """

    clean: Outcome
    cells: tuple[Cell, ...]
    batch_size: int
    seed: int
    missing: Mapping[str, str] = field(default_factory=dict)
    adaptation: float | None = None
    order: str = "cells"
    parameters: str = "auto"
    saved_as: str = "pixels"

    def __post_init__(self) -> None:
        check_each_once(self.cells)

    def __repr__(self) -> str:
        return f"RobustnessTable({self._in_short})"

    @property
    def _in_short(self) -> str:
        robust = f", robust {self.robust_accuracy:.1%}" if self.cells else ""
        return f"clean {self.clean_accuracy:.1%}{robust}"

    def _repr_html_(self) -> str:
        """Return the accuracies as HTML, which notebooks show."""
        from winninghand.evaluation.showing import html_of  # who measures alone needs none of it

        title = f"{self!r}, {counted(len(self.clean.correct), 'image')}"
        return html_of(title, {(cell.corruption, cell.severity): cell.accuracy for cell in self.cells})

    def plot(self, data: str = "", title: str = "") -> altair.LayerChart:
        """Return an Altair chart of accuracy by severity, a line for each corruption and one for their mean.

        Colours stand for families of corruptions, shapes and dashes for those of one family. Notebooks show
        it; `wh.save_picture` writes it as SVG or PNG. Its caption names the number of images and the seed,
        and the `data` where it is given. Raises `InputError` where altair, of the extra `report`, is not
        installed, and where nothing but clean images was measured.
        """
        from winninghand.base.charts import caption_of  # who measures alone needs none of it
        from winninghand.evaluation.showing import chart_of

        if not self.cells:
            raise InputError("there is no corruption to draw; evaluate with some")
        accuracies = {(cell.corruption, cell.severity): cell.accuracy for cell in self.cells}
        caption = caption_of(data, len(self.clean.correct), self.seed)
        title = title or f"Accuracy by severity: {self._in_short}"
        return chart_of(title, f"{caption}; the thick line is the mean", self.clean_accuracy, accuracies)

    def to_pandas(self) -> Any:  # noqa: ANN401 (a pandas.DataFrame)
        """Return the rows as a pandas data frame; `InputError` where pandas is not installed."""
        pandas = needed("pandas", "pandas", "to make data frames")
        return pandas.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """Return one row of plain values per cell, that of the clean images first."""
        return [cell.row() for cell in (Cell(CLEAN, 0, self.clean, "split"), *self.cells)]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        robust = self.robust_interval
        clean, *cells = self.rows()
        return {
            "images": len(self.clean.correct),
            "seed": self.seed,
            "batch_size": self.batch_size,
            "order": self.order,
            "parameters": self.parameters,
            "saved_as": self.saved_as,
            "adaptation": self.adaptation,
            "clean_accuracy": self.clean_accuracy,
            "clean_interval": [self.clean_interval.low, self.clean_interval.high],
            "robust_accuracy": None if robust is None else self.robust_accuracy,
            "robust_interval": None if robust is None else [robust.low, robust.high],
            "groups": self.groups,
            "families": self.families,
            "worst_cell": min(cells, key=lambda row: row["accuracy"], default=None),
            "mean_passes": self.mean_passes,
            "corruptions": list(self.corruptions),
            "missing": dict(self.missing),
            "clean": clean,
            "cells": cells,
        }


def bootstrap(values: Values, seed: int = 0) -> Interval:
    """Return the mean of per-image values (N,) and its interval under resampling of the images."""
    # A resample is how often each value is drawn; there are far fewer values than images.
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    generator, total = np.random.default_rng(seed), len(values)
    means = np.concatenate(
        [
            generator.multinomial(total, counts / total, size=_RESAMPLES_AT_ONCE) @ distinct / total
            for _ in range(_RESAMPLES // _RESAMPLES_AT_ONCE)
        ]
    )
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(distinct @ counts / total), float(low), float(high))


def expected_calibration_error(correct: Values, confidence: Confidence) -> float:
    """Return the mean of |accuracy − confidence| over 15 bins, weighted by their images; in [0, 1].

    `correct` (N,) says which answers are right, `confidence` (N,) in [0, 1] how sure the model was of
    them. The bins of confidence are equally wide (Guo et al. 2017, arXiv:1706.04599, equation 3).
    """
    shares, gaps = _shares_and_gaps(correct, confidence)
    return float(shares @ np.abs(gaps))


def rms_calibration_error(correct: Values, confidence: Confidence) -> float:
    """Return the root mean square of the same gaps under the same weights; in [0, 1].

    After Hendrycks et al. 2019 (arXiv:1812.04606), whose bins hold equally many images instead.
    """
    shares, gaps = _shares_and_gaps(correct, confidence)
    return float(np.sqrt(shares @ gaps**2))


def _shares_and_gaps(
    correct: Values, confidence: Confidence
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return for each bin its share of the images and its accuracy less its mean confidence."""
    bins = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    images = np.bincount(bins, minlength=BINS)
    right = np.bincount(bins, correct, BINS)
    sure = np.bincount(bins, confidence, BINS)
    return images / len(bins), (right - sure) / np.maximum(images, 1)

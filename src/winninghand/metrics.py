"""Metrics of torchmetrics: accuracy over corruptions, and how far confidence is from accuracy.

They fit any loop of torchmetrics, Lightning's too, and give the figures of `wh.evaluate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from winninghand.base.errors import InputError, counted
from winninghand.base.extras import needed
from winninghand.base.registry import nearest
from winninghand.corruptions import SEVERITIES, checked_severities, corruption_names
from winninghand.evaluation.table import BINS

if TYPE_CHECKING:
    from torchmetrics import Metric
else:
    Metric = needed("torchmetrics", "metrics", "for winninghand.metrics").Metric

__all__ = ["CalibrationError", "RobustAccuracy"]


class RobustAccuracy(Metric):
    """Plain mean of the top-1 accuracies of all cells, corruptions × severities; in [0, 1].

    `corruptions` is `common`, `extra`, `all`, `bar`, a name, several of these joined by commas, or a sequence
    of them; `severities` lie in 1..5. Cells without images are left out; the metric is NaN where all are.
    Raises `InputError` for unknown names and severities.
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False
    right: Tensor
    images: Tensor

    def __init__(
        self,
        corruptions: str | Sequence[str] = "common",
        severities: Iterable[int] = SEVERITIES,
        **settings: Any,  # noqa: ANN401 (torchmetrics' own)
    ) -> None:
        super().__init__(**settings)
        self.corruptions = corruption_names(corruptions)
        self.severities = checked_severities(severities)
        cells = torch.zeros(len(self.corruptions), len(self.severities), dtype=torch.int64)
        self.add_state("right", cells, dist_reduce_fx="sum")
        self.add_state("images", cells.clone(), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, labels: Tensor, corruption: str, severity: int) -> None:
        """Add images of one cell: outputs (N, classes), logits or probabilities, and labels (N,).

        Raises `InputError` for a cell that the metric does not have, for outputs that are NaN, and for
        labels that do not fit the outputs.
        """
        place = self._place(corruption, severity)
        _check(outputs, labels)
        self.right[place] += (outputs.argmax(dim=1) == labels).sum()
        self.images[place] += len(labels)

    def compute(self) -> Tensor:
        """Return the mean over the cells, a float64 scalar."""
        seen = self.images > 0
        return (self.right[seen].double() / self.images[seen]).mean()

    def by_cell(self) -> dict[tuple[str, int], float]:
        """Return the accuracy of each cell that has images, of this process alone."""
        return {
            (name, severity): float(self.right[row, column] / self.images[row, column])
            for row, name in enumerate(self.corruptions)
            for column, severity in enumerate(self.severities)
            if self.images[row, column] > 0
        }

    def _place(self, corruption: str, severity: int) -> tuple[int, int]:
        if corruption not in self.corruptions:
            raise InputError(
                f"the metric has no corruption {corruption!r}; {nearest(corruption, self.corruptions)}"
            )
        if severity not in self.severities:
            raise InputError(f"the metric has the severities {list(self.severities)}, not {severity!r}")
        return self.corruptions.index(corruption), self.severities.index(severity)


class CalibrationError(Metric):
    """Mean of |accuracy − confidence| over 15 bins of equal width, weighted by their images; in [0, 1].

    After Guo et al. 2017 (arXiv:1706.04599, equation 3).
    """

    higher_is_better = False
    is_differentiable = False
    full_state_update = False
    images: Tensor
    right: Tensor
    confidence: Tensor

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (torchmetrics' own)
        super().__init__(**settings)
        for name in ("images", "right", "confidence"):
            self.add_state(name, torch.zeros(BINS, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        """Add images: outputs (N, classes), logits or log-probabilities, and labels (N,).

        Raises `InputError` for outputs that are NaN and for labels that do not fit the outputs.
        """
        _check(outputs, labels)
        confidence, choice = outputs.float().softmax(dim=1).max(dim=1)
        bins = (confidence * BINS).long().clamp_(0, BINS - 1)
        for state, values in (
            (self.images, torch.ones_like(confidence)),
            (self.right, choice == labels),
            (self.confidence, confidence),
        ):
            state.index_add_(0, bins, values.to(state.dtype))

    def compute(self) -> Tensor:
        """Return the error, a float64 scalar."""
        return (self.right - self.confidence).abs().sum() / self.images.sum()


def _check(outputs: Tensor, labels: Tensor) -> None:
    """Raise `InputError` unless outputs (N, classes) tell classes apart, and labels (N,) are among these."""
    if not isinstance(outputs, Tensor) or not isinstance(labels, Tensor):
        raise InputError("outputs and labels must be tensors, (N, classes) and (N,)")
    if outputs.ndim != 2 or outputs.shape[1] == 0 or labels.shape != outputs.shape[:1]:
        raise InputError(
            "outputs must have the shape (N, classes) and labels (N,), "
            f"not {tuple(outputs.shape)} and {tuple(labels.shape)}"
        )
    if labels.is_floating_point() or labels.is_complex():
        raise InputError(f"labels must be whole numbers, not {labels.dtype}")
    # As in `wh.evaluate`: an output may be -inf, but a NaN or an inf leaves no probabilities.
    probable = outputs.amax(dim=1).isfinite()
    known = (labels >= 0) & (labels < outputs.shape[1])
    if bool((probable & known).all()):  # the one look at values, since a GPU is waited for
        return
    if not bool(known.all()):
        raise InputError(f"labels must lie in 0..{outputs.shape[1] - 1}, not {int(labels[~known][0])}")
    raise InputError(
        f"outputs give no probabilities, but NaN, for {counted(int((~probable).sum()), 'image')}"
    )

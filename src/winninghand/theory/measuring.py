"""Target and ticket on clean and corrupted images, and how many of their answers are proved to be alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from winninghand.base.device import to_unit
from winninghand.evaluation import Measurement
from winninghand.evaluation.table import CLEAN
from winninghand.images import Split
from winninghand.theory.embedding import Ticket

# Images at once: a ticket's hidden layers are wide.
_BATCH = 20


@dataclass(frozen=True)
class ProvedCell:
    """Target and ticket on the images of one cell; all but the counts are fractions of the images.

    `proved` are those whose answer is proved by the bound over the whole box, `proved_here` by that one or a
    bound at the image. `alike` are those that get the same answer, as computed in single precision, and
    `largest_error` is the largest difference of a logit.
    """

    corruption: str
    severity: int
    images: int
    target_accuracy: float
    ticket_accuracy: float
    alike: float
    proved: float
    proved_here: float
    largest_error: float


@torch.no_grad()
def proved_cells(
    target: nn.Module, ticket: Ticket, measurement: Measurement, split: Split
) -> Iterator[ProvedCell]:
    """Yield the cells of a measurement, the clean images first.

    `target` maps float images (N, 3, H, W) in [0, 1] to logits.
    """
    sample = measurement.sample(split)
    cells = [(CLEAN, 0), *((name, one) for name in measurement.names for one in measurement.severities)]
    for name, severity in cells:
        columns: list[tuple[Tensor, ...]] = []
        for batch in sample.batches(name, severity, _BATCH):
            images, labels = to_unit(torch.from_numpy(batch.images)), torch.from_numpy(batch.labels)
            expected, found = target(images), ticket.network(images)
            proof = ticket.certificate.prove(images)
            columns.append(
                (
                    expected.argmax(1) == labels,
                    found.argmax(1) == labels,
                    expected.argmax(1) == found.argmax(1),
                    proof.proved,
                    proof.proved_here,
                    (expected - found).abs().amax(1),
                )
            )
        *shares, errors = (torch.cat(one) for one in zip(*columns, strict=True))
        target_accuracy, ticket_accuracy, alike, proved, here = (float(one.double().mean()) for one in shares)
        yield ProvedCell(
            name,
            severity,
            len(errors),
            target_accuracy,
            ticket_accuracy,
            alike,
            proved,
            here,
            float(errors.max()),
        )

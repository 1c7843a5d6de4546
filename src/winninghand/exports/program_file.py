"""`.pt2`: a card or a deck with its gate as a program of torch.export."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor

from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.exports.checking import check
from winninghand.exports.tracing import traced, without_chatter


def write_program(model: Card | Deck, path: Path) -> None:
    """Write a model as a `.pt2` file for `torch.export.load`, which can run code: load only your own."""
    _, program = traced(model)
    played = program.module()

    def run(images: Tensor) -> Sequence[Tensor]:
        outputs = played(images)
        return (outputs,) if isinstance(outputs, Tensor) else outputs

    check("the traced program", run, model)
    # A path's name would become the name of the folder in the archive.
    archive = BytesIO()
    with without_chatter():
        torch.export.save(program, archive)
    path.write_bytes(archive.getvalue())

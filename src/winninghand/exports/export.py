"""Writing a card or a deck in the format that a file's name asks for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.errors import InputError
from winninghand.exports.onnx_file import write_onnx
from winninghand.exports.program_file import write_program
from winninghand.exports.state_dicts import write_dense, write_sparse
from winninghand.files import written_whole

Writer = Callable[[Card | Deck, Path], None]

EXPORTS: dict[str, Writer] = {
    ".onnx": write_onnx,
    ".pt2": write_program,
    ".safetensors": write_dense,
    ".sparse.pt": write_sparse,
}
"""What writes a file, by how its name ends."""


def export(model: Card | Deck, path: Path | str) -> None:
    """Write a card or a deck to one file, whole or not at all, in the format that its name ends with.

    `.onnx` and `.pt2` hold the computation, normalisation and gate included, for batches of any
    size; `.safetensors` and `.sparse.pt` hold the weights. Raises `InputError` for another ending,
    for a gate that cannot leave the library, and where a package that the format needs is missing.
    """
    writer = next((writer for ending, writer in EXPORTS.items() if str(path).endswith(ending)), None)
    if writer is None:
        raise InputError(f"cannot export to {path}: its name must end with one of {', '.join(EXPORTS)}")
    with written_whole(path) as aside:
        writer(copy.deepcopy(model).cpu(), aside)

"""Writing a card or a deck in the format that a file's name asks for."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import cast

from winninghand.base import catalog
from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write
from winninghand.base.registry import Registry
from winninghand.cards import Card
from winninghand.decks import Deck, load
from winninghand.networks.entering import copied

Writer = Callable[[Card | Deck, Path], None]


def export(model: Card | Deck | Path | str, path: Path | str) -> None:
    """Write a card or a deck to one file, whole or not at all, in the format that its name ends with.

    The model may be given by its own file, or as `zoo:NAME`.

    `.onnx` and `.pt2` hold the computation, normalisation and gate included, for batches of any
    size; `.safetensors` and `.sparse.pt` hold the weights. Raises `InputError` for another ending,
    for a gate that cannot leave the library, and where a package that the format needs is missing.
    """
    ending = next((ending for ending in EXPORTS if str(path).endswith(ending)), None)
    if ending is None:
        raise InputError(f"cannot export to {path}: its name must end with one of {', '.join(EXPORTS)}")
    writer: Writer = EXPORTS[ending]
    model = load(model) if isinstance(model, str | PathLike) else model
    with atomic_write(path) as tmp:
        writer(cast("Card | Deck", copied(model)).cpu(), tmp)


EXPORTS: Registry[Writer] = catalog.EXPORTS

"""Writing a card or a deck in the format that a file's name asks for."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from torch import Tensor

from winninghand.base import catalog
from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write
from winninghand.base.registry import Registry
from winninghand.cards import Card
from winninghand.decks import Deck, load
from winninghand.networks.entering import copied

if TYPE_CHECKING:
    from winninghand.exports.c.file import CFile
    from winninghand.exports.quantized import QuantizedFile

Writer = Callable[..., Any]
ONNX, C = ".onnx", ".c"


def export(
    model: Card | Deck | Path | str,
    path: Path | str,
    quantize: Literal["int8"] | None = None,
    images: Tensor | None = None,
    opset: int | None = None,
) -> QuantizedFile | CFile | None:
    """Write a card or a deck to one file, whole or not at all, in the format that its name ends with.

    The model may be given by its own file, or as `zoo:NAME`.

    `.onnx` and `.pt2` hold the computation, normalisation and gate included, for batches of any
    size; `.safetensors` and `.sparse.pt` hold the weights. `.c` holds all in C99, for machines without
    Python, for one image at a time; its functions begin with the file's name. What it takes is returned.

    Of `.onnx`, `opset` is the version of the operators, and `quantize="int8"` writes layers of whole
    numbers: weights as the card's own levels, activations calibrated on `images`, float (N, 3, H, W) in
    [0, 1], such as some hundred training images. Then it returns what the file is beside one of floats.

    Raises `InputError` for another ending, for a gate that cannot leave the library, where a package that
    the format needs is missing, and for what `write_onnx`, `write_quantized` and `write_c` refuse.
    """
    ending = next((ending for ending in EXPORTS if str(path).endswith(ending)), None)
    if ending is None:
        raise InputError(f"cannot export to {path}: its name must end with one of {', '.join(EXPORTS)}")
    writer: Writer = EXPORTS[ending]
    settings: dict[str, Any] = {}
    if quantize is not None or opset is not None:
        if ending != ONNX:
            raise InputError(f"only {ONNX} files are quantized and have an opset; {path} would be neither")
        settings["opset"] = opset
    if ending == C:
        settings["name"] = Path(path).stem
    if quantize is not None:
        writer, settings["images"] = _quantizing(quantize, images), images
    elif images is not None:
        raise InputError('images calibrate a file of whole numbers; say quantize="int8", or leave them out')
    model = load(model) if isinstance(model, str | PathLike) else model
    with atomic_write(path) as tmp:
        return cast(
            "QuantizedFile | CFile | None", writer(cast("Card | Deck", copied(model)).cpu(), tmp, **settings)
        )


def _quantizing(quantize: str, images: Tensor | None) -> Writer:
    from winninghand.exports.quantized import write_quantized

    if quantize != "int8":
        raise InputError(f"files are quantized to int8, not {quantize!r}")
    if images is None:
        raise InputError("int8 activations are calibrated on images; give some, such as training images")
    return write_quantized


EXPORTS: Registry[Writer] = catalog.EXPORTS

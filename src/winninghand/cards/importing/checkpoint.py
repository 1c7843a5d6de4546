"""What a checkpoint file holds: named tensors, and plain values beside them."""

from __future__ import annotations

import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor
from torch.sparse import check_sparse_tensor_invariants

from winninghand.base.errors import InputError

StateDict = dict[str, Tensor]
"""Tensors by the names of a network's parameters and buffers."""

# Keys under which training code puts a network's state dict, tried in this order; `last` lies beside `best`
# in some files, and is what RobustBench takes. Those of averaged weights come at the end, since a file that
# holds both has them beside the network's own.
_WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "net", "network", "last"),
    *("state_dict_ema", "ema_state_dict", "model_ema", "ema"),
)
_DEEPEST = 8
_MOST_LARGE_NUMBERS = 4096
_NUMBERS = {"LONG", "LONG1", "LONG4", "INT"}
_ALLOWANCE, _ELEMENTS_PER_BYTE = 1 << 24, 64


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a state dict by name, none of them sparse, and the plain values that lay around it."""

    weights: StateDict
    values: dict[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read a file of `torch.save` or safetensors; nothing in it is executed.

    Raises `InputError` for a file that is neither, that cannot be read without running code in it,
    or that declares tensors larger than its bytes may stand for.
    """
    try:
        checkpoint = _unwrapped(_content(Path(path)))
        _check(checkpoint.weights, Path(path).stat().st_size)
    except InputError as error:
        raise InputError(f"cannot import {path}: {error}") from error
    dense = {name: tensor.detach().to_dense() for name, tensor in checkpoint.weights.items()}
    return Checkpoint(dense, checkpoint.values)


def _content(path: Path) -> object:
    """Return what was saved, as far as it is tensors, containers and plain values."""
    if not path.is_file():
        raise InputError("there is no such file")
    with path.open("rb") as file:
        start = file.read(9)
    try:
        if start[8:] == b"{":  # a safetensors file: eight bytes of length, then JSON
            return safetensors.torch.load_file(path)
        # Without the check, an index beyond a sparse tensor's shape is written to, wherever that is.
        with warnings.catch_warnings(action="ignore"), check_sparse_tensor_invariants():
            _check_records(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # a stranger's bytes can break either reader in any way
        raise InputError(
            "it is damaged, no checkpoint, or holds more than tensors and plain values, which would "
            "mean to run its code; save the network's state_dict() alone"
        ) from error


def _check_records(path: Path) -> None:
    """Refuse an archive whose records are larger than the file: `torch.save` never compresses them."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        for record in records:
            if record.filename.endswith("/data.pkl"):
                _check_numbers(archive.read(record))
    stored = all(record.compress_type == zipfile.ZIP_STORED for record in records)
    if not stored or sum(record.file_size for record in records) > path.stat().st_size:
        raise InputError("its records are compressed or overlap, which torch.save does not do; save it anew")


def _check_numbers(pickled: bytes) -> None:
    """Refuse thousands of numbers beyond 32 bits.

    Those that differ by 2^61 - 1 have one hash, and as keys of a dictionary take time with the square
    of their number. Tensors lie elsewhere, and their shapes and the keys of optimisers are small.
    """
    large = 0
    for opcode, argument, _ in pickletools.genops(pickled):
        large += opcode.name in _NUMBERS and abs(int(argument or 0)) >= 2**32
        if large > _MOST_LARGE_NUMBERS:
            raise InputError(
                f"it holds more than {_MOST_LARGE_NUMBERS:,} numbers beyond 32 bits outside of tensors; "
                "save the network's state_dict() alone"
            )


def _unwrapped(content: object) -> Checkpoint:
    """Return the innermost state dict, and the plain values passed on the way."""
    values: dict[str, Any] = {}
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        values |= {key: value for key, value in content.items() if isinstance(value, str | int | float)}
        if inner is None:
            break
        content = inner
    else:
        raise InputError(f"its state dict lies more than {_DEEPEST} dictionaries deep, or holds itself")
    if isinstance(content, Mapping):
        weights = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if weights:
            return Checkpoint(weights, values)
    raise InputError("it holds no state dict, that is, no tensors by name")


def _check(weights: StateDict, file_bytes: int) -> None:
    """Refuse number formats of no use, and tensors that a few bytes declare to be huge.

    Sparse and expanded ones can be larger than the file.
    """
    for name, tensor in weights.items():
        if tensor.is_quantized or tensor.is_complex():
            raise InputError(f"its {name!r} is {tensor.dtype}; save the network with float weights")
        if tensor.is_nested or tensor.is_meta:
            raise InputError(f"its {name!r} is a nested tensor or has no values; save plain tensors")
    if sum(tensor.numel() for tensor in weights.values()) > _ALLOWANCE + _ELEMENTS_PER_BYTE * file_bytes:
        raise InputError("it declares larger tensors than its bytes may stand for")

"""Pickled files read without letting them run anything: arrays and plain containers only."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from winninghand.base.errors import InputError

# The function by which every NumPy names itself the maker of pickled arrays; its module is private.
_reconstruct = cast(Callable[..., object], np.empty(0).__reduce__()[0])

_ADMITTED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that knows NumPy's arrays and nothing else that has to be looked up by name."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ADMITTED[module, name]


def read_plain_pickle(path: Path) -> dict[bytes, Any]:
    """Return the dictionary pickled in `path`, its Python 2 strings as bytes.

    Only numbers, strings, lists, tuples, dictionaries and NumPy arrays are admitted; a file that
    asks for anything else, or that is broken, raises `InputError` before anything of it is run.
    """
    try:
        with path.open("rb") as file:
            content = _PlainUnpickler(file, encoding="bytes").load()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}); fetch it again") from None
    # Broken pickles raise nearly anything: UnpicklingError, EOFError, TypeError, ValueError, KeyError …
    except Exception as error:
        raise InputError(f"{path} is not a pickle of plain arrays ({error}); fetch it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, not a dictionary; fetch it again")
    return content

"""The data of a C file: constant tables, each written once whoever needs it, and numbers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_TYPES = {
    "float32": "float",
    "uint8": "unsigned char",
    "int8": "signed char",
    "uint16": "unsigned short",
}
_PER_LINE = {"float32": 8, "uint8": 24, "int8": 24, "uint16": 16}
_BYTES_OF_FIELD = 4  # a pointer or a whole number on the machines that such a file is for


class Tables:
    """Tables, and structures that refer to them, as C; `bytes` is what they take in memory.

    `numbers` has those that the C functions go by, such as the length of the buffer, by name.
    """

    def __init__(self) -> None:
        self.tables: list[str] = []
        self.structures: list[str] = []
        self.numbers: dict[str, int] = {}
        self.bytes = 0
        self._names: dict[bytes, str] = {}
        self._counts: Counter[str] = Counter()

    def add(self, name: str, values: Array) -> str:
        """Return the name of a table of these values: `name` and a number, or that of an equal one."""
        # C knows no empty table.
        flat = values.ravel() if values.size else np.zeros(1, values.dtype)
        key = hashlib.blake2b(flat.dtype.str.encode() + flat.tobytes()).digest()
        if key not in self._names:
            self._names[key] = self._numbered(name)
            self.bytes += flat.nbytes
            self.tables.append(_table(self._names[key], flat))
        return self._names[key]

    def add_structure(self, kind: str, name: str, fields: Sequence[str]) -> str:
        """Return the name of a constant structure of these fields, written in C; `name` and a number."""
        content = ", ".join(fields)
        key = hashlib.blake2b(f"{kind} {content}".encode()).digest()
        if key not in self._names:
            self._names[key] = self._numbered(name)
            self.bytes += _BYTES_OF_FIELD * (content.count(",") + 1)
            self.structures.append(f"static const struct {kind} {self._names[key]} = {{{content}}};")
        return self._names[key]

    def at_least(self, name: str, value: int) -> None:
        """Make a number no less than this value."""
        self.numbers[name] = max(value, self.numbers.get(name, 0))

    def _numbered(self, name: str) -> str:
        self._counts[name] += 1
        return f"{name}_{self._counts[name] - 1}"


def literal(value: float) -> str:
    """Return a number as a constant of the type float; infinity as the largest one."""
    largest = float(np.finfo(np.float32).max)
    text = f"{min(max(value, -largest), largest):.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


def _table(name: str, flat: Array) -> str:
    kind, per_line = flat.dtype.name, _PER_LINE[flat.dtype.name]
    # Nine digits are enough for every float.
    written = (lambda value: f"{value:.9g}") if kind == "float32" else str
    lines = [
        ", ".join(map(written, flat[start : start + per_line].tolist()))
        for start in range(0, len(flat), per_line)
    ]
    body = ",\n    ".join(lines)
    return f"static const {_TYPES[kind]} {name}[{len(flat)}] = {{\n    {body}}};"

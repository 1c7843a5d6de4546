"""Pickled files read as data: an interpreter of its own, that makes arrays and plain containers only.

Python's unpickler calls what a file names. This one calls nothing: it knows the opcodes that plain
values are written with, and the one construction by which NumPy pickles an array of bytes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from winninghand.base.errors import InputError, with_article
from winninghand.base.files import regular

_LARGEST_FILE = 2**28
"""Bytes; the largest official batch has 155 million."""
_MOST_OPCODES = 2**20
"""Several times as many as the largest official batch has."""
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_ARRAY, _DTYPE, _MAKE = "numpy ndarray", "numpy dtype", "_reconstruct"
_BYTES = ("u1", "|u1", b"u1", b"|u1")


@dataclass(frozen=True, eq=False)
class _Name:
    """What a file names of NumPy; it stands for nothing that could be called."""

    name: str


@dataclass(eq=False)
class _Array:
    """An array, empty until its state has been read."""

    content: np.ndarray[Any, Any] | None = None


class _ByteType:
    """The type of an array of bytes; its state says nothing that matters."""


class _Mark:
    """Where the items of a container begin on the stack."""


def read_plain_pickle(path: Path) -> dict[bytes, Any]:
    """Return the dictionary pickled in `path`, its Python 2 strings as bytes.

    Only numbers, strings, lists, tuples, dictionaries and uint8 arrays are admitted. Raises `InputError`
    for a file that asks for anything else, that is broken, or that is larger than any official one.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path} is larger than any batch of the official sets; fetch it again")
        content = _Reader(regular(path).read_bytes()).read()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}); fetch it again") from None
    # Broken pickles raise nearly anything: ValueError, IndexError, TypeError, KeyError, UnicodeDecodeError …
    except Exception as error:
        raise InputError(f"{path} is not a pickle of plain arrays ({error}); fetch it again") from None
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds {with_article(type(content).__name__)}, not a dictionary; fetch it again"
        )
    return {key: value.content if isinstance(value, _Array) else value for key, value in content.items()}


class _Reader:
    """One pass over a pickle: a stack, a memo, and one method for each kind of opcode."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def read(self) -> Any:  # noqa: ANN401 (whatever the file holds)
        """Return the one value that the pickle makes; raise `ValueError` for what is not plain."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(self._content)):
            if count >= _MOST_OPCODES:
                raise ValueError(f"it has more than {_MOST_OPCODES} steps")
            if opcode.name == "STOP":
                break
            self._do(opcode.name, argument)
        (value,) = self._stack
        return value

    def _do(self, name: str, argument: Any) -> None:  # noqa: ANN401
        if name in _STRINGS:
            self._stack.append(argument.encode("latin-1"))
        elif name in _VALUES:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif name in _STEPS:
            _STEPS[name](self)
        elif name == "GLOBAL":
            self._stack.append(_named(*argument.split(" ", 1)))
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"it has the step {name}")

    def _since_mark(self) -> list[Any]:
        """Take the items above the topmost mark, and the mark, from the stack."""
        place = len(self._stack) - 1
        while not isinstance(self._stack[place], _Mark):
            place -= 1
            if place < 0:
                raise ValueError("a container has no beginning")
        items = self._stack[place + 1 :]
        del self._stack[place:]
        return items

    def _append(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise ValueError("it appends to what is no list")
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("it sets an item of what is no dictionary")
        target.update(_dictionary(items))

    def _take(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ValueError("it takes more than there is")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _global(self) -> None:
        self._stack.append(_named(*self._take(2)))

    def _call(self) -> None:
        """Make an empty array or the type of its elements: the two calls in NumPy's pickles."""
        function, arguments = self._take(2)
        name = function.name if isinstance(function, _Name) else None
        first = arguments[0] if isinstance(arguments, tuple) and arguments else None
        if name == _MAKE and isinstance(first, _Name) and first.name == _ARRAY:
            self._stack.append(_Array())
        elif name == _DTYPE and isinstance(first, str | bytes):
            if first not in _BYTES:
                raise ValueError(f"it holds an array of another type than uint8: {str(first)[:20]!r}")
            self._stack.append(_ByteType())
        else:
            raise ValueError("it calls something")

    def _build(self) -> None:
        """Fill an array from its state: version, shape, type, order and bytes."""
        target, state = self._take(2)
        if isinstance(target, _Array):
            _, shape, kind, fortran, content = state
            if not isinstance(kind, _ByteType) or not isinstance(content, bytes):
                raise ValueError("it holds an array that is not of bytes")
            if (
                not isinstance(shape, tuple)
                or len(shape) > 4
                or not all(type(n) is int and n >= 0 for n in shape)
            ):
                raise ValueError("it holds an array without a shape")
            target.content = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")
        elif not isinstance(target, _ByteType):
            raise ValueError("it sets the state of something")
        self._stack.append(target)


def _named(module: object, name: object) -> _Name:
    """Return what stands for a name of NumPy's; raise `ValueError` for any other name."""
    if not isinstance(module, str) or not isinstance(name, str):  # containers may take for ever to be printed
        raise ValueError("it asks for something without a name")
    if module in _MODULES and name == _MAKE:
        return _Name(_MAKE)
    if f"{module} {name}" in (_ARRAY, _DTYPE):
        return _Name(f"{module} {name}")
    raise ValueError(f"it asks for {module[:60]}.{name[:60]}")


def _dictionary(items: list[Any]) -> dict[Any, Any]:
    """Return keys and values in turn as a dictionary whose keys are texts.

    The hash of a text nobody can foresee. Numbers and tuples can be made that have one hash all of them,
    and a dictionary of these takes time with the square of their number.
    """
    keys = items[::2]
    if not all(isinstance(key, str | bytes) for key in keys):
        raise ValueError("a key is no string")
    return dict(zip(keys, items[1::2], strict=True))


_STRINGS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "MARK": _Mark,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
_STEPS: dict[str, Callable[[_Reader], None]] = {
    "LIST": lambda reader: reader._stack.append(reader._since_mark()),
    "TUPLE": lambda reader: reader._stack.append(tuple(reader._since_mark())),
    "DICT": lambda reader: reader._stack.append(_dictionary(reader._since_mark())),
    "TUPLE1": lambda reader: reader._stack.append(tuple(reader._take(1))),
    "TUPLE2": lambda reader: reader._stack.append(tuple(reader._take(2))),
    "TUPLE3": lambda reader: reader._stack.append(tuple(reader._take(3))),
    "APPENDS": lambda reader: reader._append(reader._since_mark()),
    "SETITEMS": lambda reader: reader._set(reader._since_mark()),
    "APPEND": lambda reader: reader._append(reader._take(1)),
    "SETITEM": lambda reader: reader._set(reader._take(2)),
    "STACK_GLOBAL": _Reader._global,
    "REDUCE": _Reader._call,
    "BUILD": _Reader._build,
}

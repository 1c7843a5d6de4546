"""The C functions of `functions.c`, and which of them a model needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
# A struct's name, a function's, and a variable's whose value takes several lines.
_NAMES = re.compile(r"^(?:struct (\w+) \{|static [\w *]*?(\w+)\(|\} (\w+) = )", re.MULTILINE)
_WORD = re.compile(r"\w+")


@cache
def definitions() -> dict[str, str]:
    """Return all definitions by name, in an order in which each stands after those it needs."""
    text = files(__package__).joinpath("functions.c").read_text(encoding="utf-8")
    _, *parts = text.strip().split("\n\n")
    return {_name(part): part for part in parts}


def needed_by(text: str) -> Iterator[str]:
    """Yield the definitions that a text of C needs, and those that these need, in order."""
    known, found, looked_at = definitions(), set[str](), [text]
    while looked_at:
        new = (known.keys() & set(_WORD.findall(_COMMENT.sub("", looked_at.pop())))) - found
        found |= new
        looked_at += [known[name] for name in new]
    yield from (part for name, part in known.items() if name in found)


def _name(definition: str) -> str:
    match = _NAMES.search(_COMMENT.sub("", definition))
    assert match is not None
    return next(name for name in match.groups() if name is not None)

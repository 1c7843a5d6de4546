"""Patterns in braces, by which WebDataset names many shards at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from winninghand.base.errors import InputError

_MOST = 10**6


def expanded_braces(pattern: str) -> Iterator[str]:
    """Yield the names that a pattern stands for, as a shell does; a text without braces stands for itself.

    `{a,b}` is each of its parts, and `{00..12}` each number of that width. Raises `InputError` for braces
    that are not closed, hold one part alone, or stand for a million names or more.
    """
    return _expanded(pattern, pattern)


def _expanded(text: str, pattern: str) -> Iterator[str]:
    """Yield the names that `text`, a part of `pattern`, stands for; errors name the whole."""
    start = text.find("{")
    if start < 0:
        yield text
        return
    depth, parts, begin = 0, list[str](), start + 1
    for place in range(start, len(text)):
        letter = text[place]
        depth += (letter == "{") - (letter == "}")
        if (letter == "," and depth == 1) or depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
        if depth == 0:
            break
    numbers = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", parts[0]) if len(parts) == 1 else None
    first, last = (int(number) for number in numbers.groups()) if numbers else (0, 0)
    if depth or (len(parts) < 2 and not numbers) or not 0 <= last - first < _MOST:
        raise InputError(f"{pattern} is no pattern of shards; write one such as train-{{000000..000146}}.tar")
    if numbers:
        parts = [f"{number:0{len(numbers[1])}}" for number in range(first, last + 1)]
    for part in parts:
        for inside in _expanded(part, pattern):
            for after in _expanded(text[begin:], pattern):
                yield text[:start] + inside + after

"""Bad input: the one kind of error that is the caller's to mend, and what strangers' words become in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from numbers import Integral
from os import PathLike
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING
from unicodedata import category, normalize

if TYPE_CHECKING:
    from pydantic import ValidationError

_LONGEST = 2000
_BRIEF = Repr()
_BRIEF.maxlevel, _BRIEF.maxstring, _BRIEF.maxlong, _BRIEF.maxother = 3, 200, 200, 200
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxdict = _BRIEF.maxset = _BRIEF.maxfrozenset = 20

LARGEST = 2**63 - 1
MOST_CLASSES = 65536
# Control characters, halves of pairs, line and paragraph separators.
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
# Marks, embeddings, overrides and isolates that turn the direction of what follows.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class InputError(ValueError):
    """Input that cannot be used; its message is one line that says what is wrong and how to mend it."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(" ".join(message.split()), _LONGEST))


def first_error(error: ValidationError) -> str:
    """Return one line on the first key at fault in a table that was checked."""
    errors = error.errors()
    unknown = [one for one in errors if one["type"] == "extra_forbidden"]
    # What is missing is mostly there under a name that is not known.
    first = unknown[0] if unknown and errors[0]["type"] == "missing" else errors[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}; remove it or mend its name"
    if first["type"] == "value_error":
        reason = first["msg"].removeprefix("Value error, ")
        return f"{key}: {reason}" if key else reason
    if first["type"] == "missing":
        return f"{key} is missing; give it"
    if first["type"] == "too_short":
        least, given = (first["ctx"][name] for name in ("min_length", "actual_length"))
        return f"{key}: give at least {least}, not {given}"
    return f"{key or 'the whole'}: {first['msg'].lower()}, not {shown(brief(first['input'], 200))}"


def checked_whole(name: str, value: object, least: int = 0, most: int = LARGEST) -> int:
    """Return `value` as an int, or raise `InputError` unless it is a whole number in `least` .. `most`.

    NumPy's integers are whole numbers; booleans and 2.0 are not.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= int(value) <= most:  # type: ignore[call-overload]
        wanted = f"from {least} to {most}" if most != LARGEST else f"of at least {least} and below 2**63"
        raise InputError(f"{name} must be a whole number {wanted}, not {brief(value)}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def checked_path(what: str, value: object, kinds: str = "a path") -> Path:
    """Return `value` as a path, or raise `InputError` unless it is text or a path; `what` names it."""
    if not isinstance(value, str | PathLike) or value == "":
        given = "empty" if value == "" else f"{type(value).__name__}"
        raise InputError(f"{what} must be {kinds}, not {given}")
    return Path(value)


def brief(value: object, longest: int = 60) -> str:
    """Return a value as it is written, unless that is long, or never ends: lists of lists of lists …"""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"one of {value.bit_length()} bits"
    try:
        text = repr(value) if isinstance(value, str | bytes) else _BRIEF.repr(value)
    except (ValueError, RecursionError):  # within it is a number of more digits than Python writes
        return f"this {type(value).__name__}"
    return text if len(text) <= longest else f"{text[: longest - 3]}…"


def shown(text: object, longest: int = 200) -> str:
    """Return text as it may be printed: what would move the cursor or turn a line's direction is escaped.

    A text of more than `longest` characters is cut and ends in "…".
    """
    letters = str(text)
    cut = letters if len(letters) <= longest else letters[: longest - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(_escaped(letter) if _controls(letter) else letter for letter in cut)


def counted(number: int, thing: str, many: str | None = None) -> str:
    """Return a number of things in words: `1 card`, `2,000 cards`; `many` where it is not formed by an s."""
    return f"{number:,} {thing if number == 1 else many or f'{thing}s'}"


def spaced(name: str) -> str:
    """Return a name as words: `gaussian_noise` as `gaussian noise`."""
    return name.replace("_", " ")


def with_article(thing: str) -> str:
    """Return the name of a thing or a type with `a` or `an` before it."""
    return f"{'an' if thing[:1].lower() in tuple('aeio') else 'a'} {thing}"


def percent(fraction: float, digits: int = 2) -> str:
    """Return a fraction in percent, with as many more digits as tell it from 0% and 100%."""
    texts = [f"{fraction:.{count}%}" for count in range(digits, 12)]
    return next((text for text in texts if float(text[:-1]) not in (0, 100)), texts[0])


def _controls(letter: str) -> bool:
    return category(letter) in _CONTROLS or letter in _DIRECTIONS


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def checked_classes(classes: object) -> tuple[str, ...]:
    """Return class names as text, or raise `InputError` unless they are 2 to 65,536 different readable ones.

    Names are text or whole numbers. A name is not blank, has at most 200 characters, and none that moves
    the cursor of a terminal or turns the direction of its line.
    """
    classes = classes.tolist() if hasattr(classes, "tolist") else classes
    if isinstance(classes, str | bytes) or not isinstance(classes, Sequence):
        raise InputError(f"classes must be a list of names, not {shown(brief(classes, 200))}")
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise InputError(f"there must be 2 to {MOST_CLASSES} classes, not {len(classes)}")
    for item in classes:
        if isinstance(item, bool) or not isinstance(item, str | Integral):
            raise InputError(f"a class name must be text, not {shown(brief(item, 200))}; name every class")
        if not isinstance(item, str) and not -LARGEST <= int(item) <= LARGEST:
            raise InputError("a class name that is a number must lie within 64 bits; give a text")
    names = tuple(str(item) for item in classes)
    odd = [name for name in names if shown(name) != name or not _as_seen(name)]
    if odd:
        which = ", ".join(shown(repr(name)) for name in odd[:5])
        more = f" and {len(odd) - 5:,} others" if len(odd) > 5 else ""
        plural = "es" if len(odd) > 1 else ""
        raise InputError(f"a class name must be readable text, not {which}{more}; rename the class{plural}")
    seen = Counter(map(_as_seen, names))
    if len(seen) < len(names):
        twice = next(name for name, count in seen.items() if count > 1)
        raise InputError(f"the class name {shown(twice)!r} is given more than once; give each class its own")
    return names


# Letters and marks that show nothing: fillers, joiners, the empty Braille cell, variation selectors.
_UNSEEN = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def _as_seen(name: str) -> str:
    """Return what one sees of a name: names that differ in nothing else are the same to a reader."""
    letters = (one for one in normalize("NFC", name) if category(one) != "Cf" and one not in _UNSEEN)
    return "".join(letters).strip()

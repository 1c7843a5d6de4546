"""Text from elsewhere, such as names in files, made fit for one line of a terminal."""

from __future__ import annotations

from unicodedata import category

# Control characters, halves of pairs, line and paragraph separators.
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
# Marks, embeddings, overrides and isolates that turn the direction of what follows.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def shown(text: object, longest: int = 200) -> str:
    """Return text as it may be printed: what would move the cursor or turn a line's direction is escaped.

    A text of more than `longest` characters is cut and ends in "…".
    """
    letters = str(text)
    cut = letters if len(letters) <= longest else letters[: longest - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(_escaped(letter) if _controls(letter) else letter for letter in cut)


def percent(fraction: float, digits: int = 2) -> str:
    """Return a fraction in percent, with as many more digits as tell it from 0% and 100%."""
    texts = [f"{fraction:.{count}%}" for count in range(digits, 12)]
    return next((text for text in texts if float(text[:-1]) not in (0, 100)), texts[0])


def _controls(letter: str) -> bool:
    return category(letter) in _CONTROLS or letter in _DIRECTIONS


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")

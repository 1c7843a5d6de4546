"""A figure of the report: rows of plain values, the columns that they are read by, and charts of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winninghand.base.errors import shown
from winninghand.base.files import atomic_write

Row = Mapping[str, Any]

PLACE = ("method", "domain", "network", "protocol", "seed")
"""What the page is filtered by: each row has these keys, None where a filter leaves it alone.

The seed is `MEAN` in rows that are means over all seeds. A row that is `ALONE`, as a deck's, has no such mean
beside it, and is shown where means are asked for, too.
"""
MEAN = "mean"
ALONE = "alone"


_SENTENCES = ("sentence", "missing", "statistic", "error")


@dataclass(frozen=True)
class Column:
    """A column as people read it: its title, and the text of a row in it; `keys` are the values behind it.

    `name` stands above its first value in a CSV file, where the key is only a number.
    """

    title: str
    keys: tuple[str, ...]
    text: Callable[..., str]
    is_number: bool = True
    name: str | None = None

    @property
    def is_long(self) -> bool:
        """Whether it holds sentences, which are broken into lines."""
        return self.keys[0] in _SENTENCES

    def shown(self, row: Row) -> str:
        """Return the text of a row; empty where its first value is missing."""
        values = [row.get(key) for key in self.keys]
        return "" if values[0] is None else self.text(*values)


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite chart of a figure's rows: `spec` takes them as its data, `words` say what it shows."""

    words: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """What stands under one heading. `name` is that of its files, `words` how it is to be read.

    `maps` are two-dimensional figures of rows, by their place in `rows`. With `every_seed` rows of single
    seeds are all that there is, and are shown where means are asked for.
    """

    name: str
    title: str
    words: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    charts: Sequence[Chart] = ()
    maps: Sequence[Any] = field(default=(), repr=False)
    every_seed: bool = False

    @property
    def means(self) -> list[Row]:
        """The rows but for those of single seeds, unless there are no others."""
        return [row for row in self.rows if self.every_seed or is_mean(row)]

    def write_csv(self, folder: Path) -> Path:
        """Write all rows, those of single seeds too, with every digit; return the path."""
        keys = [key for key in PLACE if any(row.get(key) for row in self.rows)]
        keys = list(dict.fromkeys([*keys, *(key for column in self.columns for key in column.keys)]))
        names = {column.keys[0]: column.name for column in self.columns if column.name is not None}
        path = folder / f"{self.name}.csv"
        with atomic_write(path) as tmp, tmp.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(names.get(key, key) for key in keys)
            writer.writerows([row.get(key) for key in keys] for row in self.rows)
        return path


def is_mean(row: Row) -> bool:
    """Say whether a row is shown where means over seeds are."""
    return row.get("seed") in (None, MEAN) or bool(row.get(ALONE))


def words(title: str, key: str) -> Column:
    """Return a column of text."""
    return Column(title, (key,), lambda value: shown(value, 2000), is_number=False)


def percent(title: str, key: str, digits: int = 2, name: str | None = None) -> Column:
    """Return a column of fractions, in percent; `name` is that of a CSV file."""
    return Column(title, (key,), lambda value: f"{100 * value:.{digits}f}", name=name)


def spread(title: str, key: str) -> Column:
    """Return a column of fractions, in percent, with the standard deviation over seeds from `KEY_std`."""
    return Column(
        title,
        (key, f"{key}_std"),
        lambda mean, std: f"{100 * mean:.2f}" + ("" if std is None else f" ± {100 * std:.2f}"),
    )


def interval(title: str, key: str, signed: bool = False) -> Column:
    """Return a column of 95% intervals of fractions, in percent, from `KEY_low` and `KEY_high`."""
    form = "+.2f" if signed else ".2f"
    return Column(
        title,
        (f"{key}_low", f"{key}_high"),
        lambda low, high: f"{_minus(100 * low, form)} to {_minus(100 * high, form)}",
    )


def points(title: str, key: str, name: str | None = None) -> Column:
    """Return a column of differences of fractions, in points; `name` is that of a CSV file."""
    return Column(title, (key,), signed, name=name)


def signed(value: float) -> str:
    """Return a difference of fractions in points, with its sign."""
    return _minus(100 * value, "+.2f")


def number(title: str, key: str, form: str = ",") -> Column:
    """Return a column of numbers in a form of Python's."""
    return Column(title, (key,), lambda value: _minus(value, form))


def mark(title: str, key: str) -> Column:
    """Return a column of marks, where something holds."""
    return Column(title, (key,), lambda value: "●" if value else "", is_number=False)


def _minus(value: float, form: str) -> str:
    """Return a number as text, with a real minus, and no sign where it is rounded to zero."""
    text = f"{value:{form}}"
    return text.replace("-", "−") if any(digit in text for digit in "123456789") else text.lstrip("+-")

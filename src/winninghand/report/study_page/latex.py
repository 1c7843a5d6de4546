"""The tables of a report as LaTeX: one file each, to be taken into a paper, and a document of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from winninghand.base.files import write_text
from winninghand.report.study_page.figure import Column, Figure

_DOCUMENT = "report.tex"
_MOST_ROWS = 40
_MOST_COLUMNS = 6
"""A wider table is shrunk to the width of the text."""
_LONGEST = 60
"""Characters of a text; a longer one stands in a column that is broken into lines."""

_ESCAPED = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": "$-$",
    "·": r"$\cdot$",
    "●": r"$\bullet$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "’": "'",
    "“": "``",
    "”": "''",
    "\n": " ",
}


def escaped(text: str) -> str:
    """Return text as LaTeX sets it; letters that need packages of their own become `U+4E2D` or the like."""
    return "".join(
        _ESCAPED.get(letter, letter if _is_set(letter) else f"U+{ord(letter):04X}") for letter in text
    )


def write_latex(title: str, figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Write `NAME.tex` for each figure, of means only, and `report.tex`, which is a document of them."""
    paths = []
    for figure in figures:
        path = folder / f"{figure.name}.tex"
        write_text("\n".join(_tables(figure)), path)
        paths.append(path)
    inputs = "\n".join(rf"\input{{{path.stem}}}" for path in paths)
    document = rf"""\documentclass[a4paper]{{article}}
\usepackage[utf8]{{inputenc}}
\usepackage[T1]{{fontenc}}
\usepackage{{booktabs,graphicx}}
\usepackage[margin=2cm]{{geometry}}
\begin{{document}}
\section*{{{escaped(title)}}}
{inputs}
\end{{document}}
"""
    write_text(document, folder / _DOCUMENT)
    return [*paths, folder / _DOCUMENT]


def _tables(figure: Figure) -> Iterator[str]:
    """Yield the lines of a figure's table, or of several where it has many rows."""
    columns = [column for column in figure.columns if column.keys != ("seed",) or figure.every_seed]
    rows = [[column.shown(row) for column in columns] for row in figure.means]
    starts = range(0, len(rows), _MOST_ROWS)
    yield "% Needs the packages booktabs and graphicx."
    for start in starts:
        part = f" ({start // _MOST_ROWS + 1} of {len(starts)})" if len(starts) > 1 else ""
        label = figure.name if start == 0 else f"{figure.name}-{start // _MOST_ROWS + 1}"
        caption = f"{figure.title}{part}. {figure.words}"
        yield r"\begin{table}[htbp]"
        yield r"\centering\small"
        yield rf"\caption{{{escaped(caption)}}}"
        yield rf"\label{{tab:{label}}}"
        yield from _tabular(columns, rows[start : start + _MOST_ROWS])
        yield r"\end{table}"


def _tabular(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(len(columns))]
    broken = [width > _LONGEST for width in widths]
    share = 0.9 / (1 + sum(broken))
    form = "".join(
        f"p{{{share:.2f}\\textwidth}}" if wraps else "r" if column.is_number else "l"
        for column, wraps in zip(columns, broken, strict=True)
    )
    shrunk = len(columns) > _MOST_COLUMNS or any(broken)
    if shrunk:
        yield r"\resizebox{\textwidth}{!}{%"
    yield rf"\begin{{tabular}}{{{form}}}"
    yield r"\toprule"
    yield " & ".join(escaped(column.title) for column in columns) + r" \\"
    yield r"\midrule"
    for row in rows:
        yield " & ".join(escaped(text) for text in row) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}" + ("}" if shrunk else "")


_UNSET = frozenset("¸ĦħĸĿŀŉŦŧſ")
"""Latin letters that LaTeX's own fonts have not."""


def _is_set(letter: str) -> bool:
    return letter.isprintable() and ord(letter) < 0x180 and letter not in _UNSET

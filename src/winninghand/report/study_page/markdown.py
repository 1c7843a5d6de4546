"""The words and tables of a report as one page of Markdown, for the documents of a project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from winninghand.base.errors import shown
from winninghand.base.files import write_text
from winninghand.report.study_page.figure import Figure
from winninghand.report.study_tables import markdown

_LEFT_OUT = ("evidence", "runs")
"""Single comparisons and single runs: `claims.md` and `log.md` in the study's folder have them."""


def write_markdown(
    title: str, introduction: str, findings: Sequence[str], figures: Sequence[Figure], path: Path | str
) -> Path:
    """Write what was found, and the means of each table; return the path."""
    write_text("\n".join(_parts(title, introduction, findings, figures)), path)
    return Path(path)


def _parts(
    title: str, introduction: str, findings: Sequence[str], figures: Sequence[Figure]
) -> Iterator[str]:
    yield f"# {shown(title, 2000)}\n"
    yield f"{shown(introduction, 2000)}\n"
    yield "".join(f"- {shown(finding, 2000)}\n" for finding in findings)
    for figure in figures:
        if figure.name not in _LEFT_OUT and figure.means:
            yield from _table(figure)


def _table(figure: Figure) -> Iterator[str]:
    """Yield a heading, how the table is to be read, and the table without its empty columns."""
    yield f"## {figure.title}\n"
    yield f"{figure.words}\n"
    columns = [column for column in figure.columns if column.keys != ("seed",) or figure.every_seed]
    columns = [column for column in columns if any(column.shown(row) for row in figure.means)]
    yield markdown(
        [column.title for column in columns],
        [[column.shown(row) for column in columns] for row in figure.means],
    )

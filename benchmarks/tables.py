"""What benchmarks on an image set share: their arguments, and a table for the terminal and for a document."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from winninghand.base.files import atomic_write
from winninghand.report.study_tables import markdown
from winninghand.report.terminal import console

Rows = Sequence[Sequence[str]]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of an image set, `--data` and `--root`, and of a folder to write to, `--out`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="digits")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def show(title: str, columns: Sequence[str], rows: Rows) -> None:
    """Print a table."""
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def document(title: str, *tables: tuple[Sequence[str], Rows]) -> str:
    """Return tables, each its columns and rows, as one Markdown document."""
    return "\n\n".join([title, *(markdown(columns, rows) for columns, rows in tables)])


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write texts to files of a folder, by their names, and say where they are."""
    for name, text in texts.items():
        with atomic_write(folder / name) as tmp:
            tmp.write_text(text, encoding="utf-8")
    console.print(f"written: {', '.join(str(folder / name) for name in texts)}")

"""`winninghand zoo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("zoo")(zoo)


def zoo(
    write: Annotated[
        list[Path] | None,
        typer.Option(help="Also put the table into this Markdown file, between its marks.", metavar="FILE"),
    ] = None,
) -> None:
    """Show the cards and decks that come with the library, side by side."""
    from winninghand.report.terminal import print_models
    from winninghand.report.zoo import COLUMNS, write_zoo, zoo_rows, zoo_title
    from winninghand.studies.zoo_records import zoo_records

    models = zoo_records()
    print_models(COLUMNS, zoo_rows(models), zoo_title(models))
    for document in write or ():
        write_zoo(models, document)

"""`winninghand zoo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def zoo(
    write: Annotated[
        list[Path] | None,
        typer.Option(help="Also put the table into this Markdown file, between its marks.", metavar="FILE"),
    ] = None,
) -> None:
    """Show the cards and decks that come with the library, side by side."""
    from winninghand.report.terminal import print_models
    from winninghand.report.zoo import COLUMNS, write_zoo, zoo_rows, zoo_title
    from winninghand.results import zoo_records

    models = zoo_records()
    print_models(COLUMNS, zoo_rows(models), zoo_title(models))
    for document in write or ():
        write_zoo(models, document)

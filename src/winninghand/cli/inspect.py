"""`winninghand inspect`."""

from __future__ import annotations

import typer

from winninghand.cli.options import Json, Model, write_json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("inspect")(inspect)


def inspect(model: Model, json: Json = None) -> None:
    """Show what a card or a deck is made of: sparsity per layer, bytes, and how few bytes would do."""
    from winninghand.decks import inspect_file
    from winninghand.report.terminal import print_inspection

    document = inspect_file(model)
    print_inspection(document)
    write_json(document, json)

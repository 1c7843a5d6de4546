"""`winninghand names`, `inspect` and `zoo`: what there is, and what it is made of."""

from __future__ import annotations

from typing import Annotated

import typer

from winninghand.cli.options import Json, Model, write_json


def names(
    kind: Annotated[
        str | None, typer.Argument(metavar="[networks|methods|corruptions|domains|gates|zoo]")
    ] = None,
) -> None:
    """List what can be named in recipes and options."""
    from winninghand.catalog import KINDS
    from winninghand.catalog import names as known

    for one in [kind] if kind is not None else KINDS:
        typer.echo("\n".join(known(one)) if kind is not None else f"{one}: {', '.join(known(one))}")


def inspect(model: Model, json: Json = None) -> None:
    """Show what a card or a deck is made of: sparsity per layer, bytes, and how few bytes would do."""
    from winninghand.decks import inspect_file
    from winninghand.report.terminal import print_inspection

    document = inspect_file(model)
    print_inspection(document)
    write_json(document, json)

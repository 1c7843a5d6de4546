"""`winninghand names`."""

from __future__ import annotations

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("names")(names)


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

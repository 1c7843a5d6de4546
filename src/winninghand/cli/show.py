"""`winninghand names`, `inspect` and `zoo`: what there is, and what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.catalog import KINDS
from winninghand.cli import completion
from winninghand.cli.options import Json, Model, Trust, file_of, write_json


def names(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help=f"{', '.join(KINDS)}; all of them, without.",
            autocompletion=completion.words(*KINDS),
        ),
    ] = None,
) -> None:
    """List what can be named in recipes and options.

    How networks from elsewhere are named is said on standard error, so that the list stays one of names.
    """
    from winninghand.catalog import names as known
    from winninghand.catalog import networks_elsewhere

    for one in [kind] if kind is not None else KINDS:
        typer.echo("\n".join(known(one)) if kind is not None else f"{one}: {', '.join(known(one))}")
    if kind in (None, "networks"):
        typer.echo(f"networks: {networks_elsewhere()}", err=True)


def inspect(
    model: Model,
    layers: Annotated[
        bool, typer.Option("--layers", help="Show each layer, and not the stages of the network.")
    ] = False,
    trust: Trust = False,
    json: Json = None,
) -> None:
    """Show what a card or a deck is: a data sheet, and the sparsity of its stages."""
    from winninghand.base.files import check_apart
    from winninghand.decks import load
    from winninghand.decks.opening import inspected
    from winninghand.report.terminal import print_inspection

    check_apart([file_of(json)], [model])
    player = load(model, trust=trust)
    document = inspected(player, model)
    print_inspection(player, document, layers)
    write_json(document, json)


def zoo(
    write: Annotated[
        list[Path] | None,
        typer.Option(help="Also put the table into this Markdown file, between its marks.", metavar="FILE"),
    ] = None,
) -> None:
    """Show the cards and decks that come with the library, side by side."""
    from winninghand.report.terminal import print_models
    from winninghand.report.zoo import COLUMNS, check_zoo_document, write_zoo, zoo_rows, zoo_title
    from winninghand.results import zoo_records

    for document in write or ():
        check_zoo_document(document)
    models = zoo_records()
    print_models(COLUMNS, zoo_rows(models), zoo_title(models))
    for document in write or ():
        write_zoo(models, document)

"""`winninghand profile`: spectral profiles made anew, for files of older versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.base.errors import InputError, counted
from winninghand.base.files import check_apart, checked_output
from winninghand.cli import completion
from winninghand.cli.options import Root, SkipBroken, Stream, Trust, image_places, output_file
from winninghand.hub.address import PREFIX as HUB
from winninghand.zoo import PREFIX


def profile(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="CARD|DECK",
            help="A .card or .deck file, zoo:NAME or hf:OWNER/NAME.",
            autocompletion=completion.models,
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="The image set that it was trained on.",
            metavar="NAME|PATH",
            autocompletion=completion.names("image_sets"),
        ),
    ],
    root: Root = None,
    skip_broken: SkipBroken = False,
    stream: Stream = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write; without it, the model's own.", callback=output_file),
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            help="Training domain of cards that do not know theirs.",
            metavar="NAME",
            autocompletion=completion.names("domains"),
        ),
    ] = None,
    trust: Trust = False,
) -> None:
    """Make the spectral profiles of a card or deck anew, by the present rule; all else stays as it is."""
    from winninghand.cli.loading import images_for
    from winninghand.cli.measuring import as_given
    from winninghand.decks import load, model_path
    from winninghand.report.terminal import say
    from winninghand.training.profiles import profiled

    if out is None and str(model).startswith((PREFIX, HUB)):
        raise InputError(f"{model} is not yours to change; say by --out where its copy is to be written")
    source = model_path(model)
    target = out or checked_output(source)
    check_apart([target], image_places(data, root))
    found = load(source, trust=trust)
    images = images_for({as_given(source): found}, data, root, skip_broken, stream)
    profiled(found, images, domain).save(target)
    say(f"{target}: {counted(len(found.cards), 'profile')} made anew, {target.stat().st_size:,} bytes")

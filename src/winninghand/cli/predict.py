"""`winninghand predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.cli.options import Adapt, Device, Json, Model, file_of, write_json


def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|DIR ...")],
    batch_size: Annotated[int, typer.Option(min=1, help="Images that a gate looks at together.")] = 64,
    adapt: Adapt = None,
    device: Device = None,
    json: Json = None,
) -> None:
    """Say what image files show: class, probability and the cards played, numbered from 1."""
    from winninghand.base.device import resolve_device
    from winninghand.base.files import check_apart
    from winninghand.base.progress import progress_bar
    from winninghand.cards.prediction import Unreadable, image_paths, predictions
    from winninghand.cli.measuring import portable
    from winninghand.decks import load, with_bn_adaptation
    from winninghand.report.predictions import lines, prediction_document, print_failures

    check_apart([file_of(json)], [model, *images])
    player = load(model).to(resolve_device(device))
    if adapt is not None:
        player = with_bn_adaptation(player, adapt)
    paths = image_paths(images)
    with progress_bar("predicting", len(paths)) as progress:
        answers = list(predictions(player, paths, batch_size, progress))
    if json != "-":
        for line in lines(answers):
            typer.echo(line)
    print_failures(answers)
    write_json(prediction_document(portable(model), player, answers), json)
    if all(isinstance(answer, Unreadable) for answer in answers):
        raise typer.Exit(2)

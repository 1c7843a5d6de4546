"""`winninghand predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from winninghand.cli.options import (
    Adapt,
    Device,
    Engine,
    Json,
    Model,
    Threads,
    Trust,
    file_of,
    output_file,
    write_json,
)


def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|DIR ...")],
    top: Annotated[int, typer.Option(min=1, help="How many of the likeliest classes to show.")] = 1,
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Also write a row for each file to this CSV file, with the reason where it cannot be read.",
            callback=output_file,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that a gate looks at together.")] = 64,
    adapt: Adapt = None,
    engine: Engine = "auto",
    device: Device = None,
    threads: Threads = None,
    trust: Trust = False,
    json: Json = None,
) -> None:
    """Say what image files show: class, probability and the cards played, numbered from 1.

    Of a folder with a folder for each class it also says how many answers are right.
    """
    from winninghand.base.device import resolve_device
    from winninghand.base.files import check_apart
    from winninghand.base.progress import progress_bar
    from winninghand.base.threads import use_threads
    from winninghand.cards.prediction import Unreadable, image_paths, predictions
    from winninghand.cli.measuring import portable
    from winninghand.decks import load, with_bn_adaptation
    from winninghand.report.predictions import (
        lines,
        prediction_document,
        print_summary,
        true_classes,
        write_csv,
    )
    from winninghand.report.terminal import say
    from winninghand.runtimes import checked_engine, run_by

    check_apart([csv, file_of(json)], [model, *images])
    on_cpu = checked_engine(engine, device, adapt is not None) not in ("auto", "torch")
    use_threads(threads)
    opened = load(model, trust=trust).to(resolve_device("cpu" if on_cpu else device))
    if adapt is not None:
        opened = with_bn_adaptation(opened, adapt)
    player = run_by(engine, opened)
    paths = image_paths(images)
    truth = true_classes(paths, images, player.classes)
    with progress_bar("predicting", len(paths)) as progress:
        answers = list(predictions(player, paths, batch_size, progress, top))
    if json != "-":
        for line in lines(answers, min(top, len(player.classes)), sys.stdout.isatty()):
            typer.echo(line)
    print_summary(answers, len(player.cards), truth)
    if csv is not None:
        write_csv(answers, truth, min(top, len(player.classes)), csv)
        say(f"written: {csv}")
    write_json(prediction_document(portable(model), player, answers, truth), json)
    if all(isinstance(answer, Unreadable) for answer in answers):
        raise typer.Exit(2)

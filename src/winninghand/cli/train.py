"""`winninghand train` and `winninghand show-augmentation`: a recipe carried out, and its images seen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winninghand.cli import completion
from winninghand.cli.options import (
    Data,
    Device,
    Root,
    Seed,
    Size,
    SkipBroken,
    Stream,
    Threads,
    Transform,
    Trust,
    image_changes,
    image_places,
    output_file,
    parse_setting,
)

if TYPE_CHECKING:
    from winninghand.training import Run
    from winninghand.training.schedule import Forecast


def train(
    recipe: Annotated[
        Path | None, typer.Argument(metavar="[RECIPE.toml]", help="Without it, all keys have their defaults.")
    ] = None,
    data: Data = "digits",
    root: Root = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="The recipe's network, by a name of `winninghand names networks`.",
            metavar="NAME",
            autocompletion=completion.names("networks"),
        ),
    ] = None,
    size: Size = None,
    transform: Transform = None,
    skip_broken: SkipBroken = False,
    stream: Stream = False,
    out: Annotated[Path, typer.Option(help="Folder of the run; DIR/card.card is left there.")] = Path(
        "runs/card"
    ),
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Lay a value over the recipe; may be repeated.",
            autocompletion=completion.settings,
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            metavar="tensorboard|wandb|mlflow",
            help="Log the training there too; may be repeated.",
            autocompletion=completion.names("loggers"),
        ),
    ] = None,
    device: Device = None,
    threads: Threads = None,
    devices: Annotated[
        int,
        typer.Option(min=1, help="Train in so many processes, each with a GPU or cores of its own."),
    ] = 1,
    trust: Trust = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and the expected time, and train nothing.")
    ] = False,
) -> None:
    """Train the card that a recipe describes; run again on the same folder, it goes on where it was."""
    from winninghand.base.files import checked_output
    from winninghand.base.launch import are_several, check_processes, end_with_launcher, launch
    from winninghand.base.threads import use_threads

    if devices > 1 and not are_several():
        check_processes(devices, device)
    if not dry_run:
        checked_output(out, folder=True)
        if devices > 1 and not are_several():
            raise typer.Exit(launch(sys.argv[1:], devices))
        end_with_launcher()

    from winninghand.cli.loading import images_of
    from winninghand.recipe import load_recipe
    from winninghand.report.terminal import print_training, say
    from winninghand.training import RunFolder, make_logger, new_run

    named = {} if network is None else {"network": network}
    given = {**named, **dict(parse_setting(change) for change in changes or [])}
    checked = load_recipe(recipe, {**given, **image_changes(size, transform, skip_broken, stream)}, trust)
    # A run that goes on with other threads would end with other bits.
    use_threads(threads or (None if dry_run else RunFolder(out).threads()))
    checked, images = images_of(checked, data, root, trust)
    run = new_run(checked, images, trust)
    if dry_run:
        _print_plan(run.forecast(device))
    else:
        run.check(out, device)  # before a logger leaves anything
        loggers = [make_logger(name, out) for name in log or []]
        if not (are_several() or RunFolder(out).about.exists()):
            say(_beginning(run, out))
        print_training(run.train(out, device, loggers=loggers), out / "card.card")


def show_augmentation(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml")],
    out: Annotated[Path, typer.Option(help="The picture, .png or .svg.", callback=output_file)] = Path(
        "augmentation.png"
    ),
    data: Data = "digits",
    root: Root = None,
    size: Size = None,
    transform: Transform = None,
    skip_broken: SkipBroken = False,
    stream: Stream = False,
    seed: Seed = 0,
    trust: Trust = False,
) -> None:
    """Draw samples and mean spectra of all training domains, the recipe's with its own parameters."""
    from winninghand.augmentation import DOMAINS, make_domain
    from winninghand.base.charts import checked_picture_path, save_picture
    from winninghand.base.files import check_apart
    from winninghand.cli.loading import images_as
    from winninghand.recipe import load_recipe
    from winninghand.report.domains import domains_sheet
    from winninghand.report.terminal import say

    checked_picture_path(out)
    check_apart([out], [recipe, *image_places(data, root)])
    checked = load_recipe(recipe, image_changes(size, transform, skip_broken, stream), trust)
    own = make_domain(checked.domain)
    domains = {name: own if name == own.name else make_domain(name) for name in DOMAINS.usable()}
    images = images_as(checked.images, data, root)
    save_picture(domains_sheet(domains, images.train, seed, images.name), out)
    say(f"{out}: eight views a domain, their mean log spectrum, and its change from the images as they are")


def _beginning(run: Run, out: Path) -> str:
    """Say what begins, for those who gave nothing and may not know."""
    from winninghand.base.errors import counted

    recipe = run.recipe
    phases = recipe.compression.plan(recipe.training.epochs)
    method = recipe.compression.name
    what = method if method == "dense" else f"{method} at {recipe.compression.sparsity:.4g} sparsity"
    epochs = sum(phase.epochs - phase.begin for phase in phases)
    return (
        f"{recipe.network['name']} on {run.images.name}, {what}, domain {recipe.domain['name']}: "
        f"{counted(len(phases), 'phase')}, {epochs:g} epochs in all; Ctrl-C stops it, and the same command "
        f"goes on with {out}"
    )


def _print_plan(plan: Forecast) -> None:
    from rich.table import Table

    from winninghand.base.errors import counted
    from winninghand.base.progress import duration
    from winninghand.report.terminal import console

    grid = Table("phase", "epochs", "steps", "sparsity", "learning rate", "starts from", "expected time")
    for number, row in enumerate(plan.phases, start=1):
        grid.add_row(
            str(number),
            row.epochs,
            f"{row.steps:,}",
            row.sparsity,
            row.learning_rate,
            row.start,
            duration(row.steps * plan.seconds_per_step),
        )
    console.print(grid)
    steps = sum(row.steps for row in plan.phases)
    console.print(
        f"{counted(steps, 'step')} of {plan.seconds_per_step:.3g} s, timed here: about "
        f"{duration(steps * plan.seconds_per_step)}, and what is measured between epochs"
    )

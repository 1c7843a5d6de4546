"""`winninghand study` and `winninghand demo`: many trainings, measured and shown together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.base.errors import InputError
from winninghand.cli.options import Data, Root, Threads, Trust, output_folder


def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml")],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder of the study: its results, and one folder per run.", callback=output_folder
        ),
    ],
    data: Data = "digits",
    root: Root = None,
    finished: Annotated[bool, typer.Option("--finished", help="Train nothing; take what is done.")] = False,
    executor: Annotated[
        str, typer.Option(help="Who does the runs: `winninghand names executors`.", metavar="NAME")
    ] = "serial",
    zoo: Annotated[
        Path | None,
        typer.Option(
            help="At the end, write cards, decks and figures to this folder.", callback=output_folder
        ),
    ] = None,
    threads: Threads = None,
    trust: Trust = False,
) -> None:
    """Train and measure many recipes, in order; run again on the same folder, it goes on where it was."""
    from winninghand.base.threads import use_threads
    from winninghand.cli.loading import images_as
    from winninghand.report.study_tables import write_claims, write_tables
    from winninghand.report.terminal import console, print_missing, print_models
    from winninghand.results import Results, ResultsWriter, RunResult
    from winninghand.studies import Publisher, load_study, run_study

    plan = load_study(file)
    if zoo is not None and plan.zoo is None:
        raise InputError(f"{file} has no [zoo] table, which says how its models are published")
    use_threads(threads)
    images = images_as(plan.images, data, root)
    print_missing(plan.evaluation.missing)
    known = {run.name for run in ResultsWriter(out).read()}
    done: list[RunResult] = []
    for run in run_study(plan, images, out, console.print, finished, executor, trust):
        planned = [one["run"] for one in Results(out).study["runs"]]
        done = sorted([*done, run], key=lambda one: planned.index(one.name))
        if run.name not in known:
            write_tables(plan.title, planned, done, out)
    if not done:
        raise InputError(f"no run of the study is finished in {out}; leave --finished out to train them")
    columns, rows = write_tables(plan.title, planned, done, out)
    print_models(columns, rows, plan.title)
    if zoo is not None:
        Publisher(plan, images, zoo, out, console.print, trust).publish(done)
    print_models(*write_claims(Results(out).claims, out), "claims")


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for cards, deck and report.", callback=output_folder)
    ] = Path("runs/demo"),
    threads: Threads = None,
) -> None:
    """Train, prune, measure and show cards and a deck on the embedded digits, in a few minutes."""
    from winninghand.base.threads import use_threads
    from winninghand.studies.demo import run_demo

    use_threads(threads)
    run_demo(out)

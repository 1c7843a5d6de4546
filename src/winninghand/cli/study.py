"""`winninghand study` and `winninghand demo`: many trainings, measured and shown together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.base.errors import InputError
from winninghand.cli.options import Data, Root


def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml")],
    out: Annotated[Path, typer.Option(help="Folder of the study: its results, and one folder per run.")],
    data: Data = "digits",
    root: Root = None,
    finished: Annotated[bool, typer.Option("--finished", help="Train nothing; take what is done.")] = False,
    executor: Annotated[
        str, typer.Option(help="Who does the runs: `winninghand names executors`.", metavar="NAME")
    ] = "serial",
    zoo: Annotated[
        Path | None, typer.Option(help="At the end, write cards, decks and figures to this folder.")
    ] = None,
) -> None:
    """Train and measure many recipes, in order; run again on the same folder, it goes on where it was."""
    from winninghand.images import load_images
    from winninghand.report.study_tables import LOG_COLUMNS, log, markdown, summary
    from winninghand.report.terminal import console, print_missing, print_models
    from winninghand.results import Results, ResultsWriter, RunResult
    from winninghand.studies import Publisher, claims, load_study, run_study

    plan = load_study(file)
    if zoo is not None and plan.zoo is None:
        raise InputError(f"{file} has no [zoo] table, which says how its models are published")
    images = load_images(data, root=root)
    print_missing(plan.evaluation.missing)
    done: list[RunResult] = []
    for run in run_study(plan, images, out, console.print, finished, executor):
        planned = [one["run"] for one in Results(out).study["runs"]]
        done = sorted([*done, run], key=lambda one: planned.index(one.name))
        columns, rows = summary(done)
        _write(out / "table.md", f"{plan.title}\n\n{markdown(columns, rows)}")
        _write(out / "log.md", markdown(LOG_COLUMNS, log(planned, done)))
    if not done:
        raise InputError(f"no run of the study is finished in {out}; leave --finished out to train them")
    print_models(columns, rows, plan.title)
    if zoo is not None:
        Publisher(plan, images, zoo, out, console.print).publish(done)
        found = claims(Results(out))
        ResultsWriter(out).write_claims([vars(claim) for claim in found])
        columns, rows = ["claim", "found", ""], [claim.row() for claim in found]
        _write(out / "claims.md", markdown(columns, rows))
        print_models(columns, rows, "claims")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for cards, deck and report.")] = Path("runs/demo"),
) -> None:
    """Train, prune, measure and show cards and a deck on the embedded digits, in a few minutes."""
    from winninghand.studies.demo import run_demo

    run_demo(out)


def _write(path: Path, text: str) -> None:
    from winninghand.base.files import atomic_write

    with atomic_write(path) as tmp:
        tmp.write_text(text, encoding="utf-8")

"""`winninghand study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winninghand.base.errors import InputError
from winninghand.cli.options import Data, Root

if TYPE_CHECKING:
    from winninghand.studies.finished import Finished
    from winninghand.studies.publish import Publisher


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("study")(study)


def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml")],
    out: Annotated[Path, typer.Option(help="Folder of the study; one folder per run is made in it.")],
    data: Data = "digits",
    root: Root = None,
    finished: Annotated[bool, typer.Option("--finished", help="Train nothing; take what is done.")] = False,
    zoo: Annotated[
        Path | None, typer.Option(help="At the end, write cards, decks and figures to this folder.")
    ] = None,
) -> None:
    """Train and measure many recipes, in order; run again on the same folder, it goes on where it was."""
    from winninghand.evaluation import available
    from winninghand.images import load_images
    from winninghand.report.terminal import console, print_missing, print_models
    from winninghand.studies.log import COLUMNS, log
    from winninghand.studies.publish import Publisher
    from winninghand.studies.study import load_study
    from winninghand.studies.summary import markdown, summarise
    from winninghand.studies.work import work_through

    plan = load_study(file)
    if zoo is not None and plan.zoo is None:
        raise InputError(f"{file} has no [zoo] table, which says how its models are published")
    images = load_images(data, root=root)
    print_missing(available(plan.evaluation.corruptions)[1])
    done = []
    for run in work_through(plan, images, out, console.print, finished):
        done.append(run)
        columns, rows = summarise(done)
        _write(out / "table.md", f"{plan.title}\n\n{markdown(columns, rows)}")
        _write(out / "log.md", markdown(COLUMNS, log(plan, done, out)))
    if not done:
        raise InputError(f"no run of the study is finished in {out}; leave --finished out to train them")
    print_models(columns, rows, plan.title)
    if zoo is not None:
        _publish(Publisher(plan, images, zoo, out / "measured", console.print), done, out)


def _publish(publisher: Publisher, finished: list[Finished], out: Path) -> None:
    from winninghand.report.terminal import print_models
    from winninghand.studies.goals import goals
    from winninghand.studies.summary import markdown

    models = publisher.models(finished)
    publisher.publish(models)
    columns, rows = ("goal", "found", ""), [goal.row() for goal in goals(models)]
    _write(out / "goals.md", markdown(columns, rows))
    print_models(columns, rows, "goals")


def _write(path: Path, text: str) -> None:
    from winninghand.base.files import atomic_write

    with atomic_write(path) as tmp:
        tmp.write_text(text, encoding="utf-8")

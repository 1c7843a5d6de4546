"""`winninghand study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.cli.options import Data, Root


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("study")(study)


def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml")],
    out: Annotated[Path, typer.Option(help="Folder of the study; one folder per run is made in it.")],
    data: Data = "digits",
    root: Root = None,
) -> None:
    """Train and measure many recipes, in order; run again on the same folder, it goes on where it was."""
    from winninghand.evaluation import available
    from winninghand.files import written_whole
    from winninghand.images import load_images
    from winninghand.report.terminal import console, print_missing, print_models
    from winninghand.studies.study import load_study
    from winninghand.studies.summary import markdown, summarise
    from winninghand.studies.work import work_through

    plan = load_study(file)
    images = load_images(data, root=root)
    print_missing(available(plan.evaluation.corruptions)[1])
    finished = []
    for run in work_through(plan, images, out, console.print):
        finished.append(run)
        columns, rows = summarise(finished)
        with written_whole(out / "table.md") as aside:
            aside.write_text(f"{plan.title}\n\n{markdown(columns, rows)}", encoding="utf-8")
    print_models(columns, rows, plan.title)

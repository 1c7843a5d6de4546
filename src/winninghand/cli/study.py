"""`winninghand study` and `winninghand demo`: many trainings, measured and shown together."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winninghand.base.errors import InputError
from winninghand.cli import completion
from winninghand.cli.options import Data, Json, Root, Threads, Trust, output_folder

if TYPE_CHECKING:
    from winninghand.studies import Executor

_SECONDS_BETWEEN_TABLES = 10.0


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
    part: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder where a part of the study was done, to be taken over; several, each with --part."
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Train nothing; say how many runs, epochs and hours it takes.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at once, each on one thread, by Ray.", metavar="N")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(help="The Ray cluster that does the runs: HOST:PORT.", metavar="ADDRESS"),
    ] = None,
    gpus_per_run: Annotated[
        float | None, typer.Option(min=0, help="Share of a GPU that each run gets, such as 0.25.")
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Who does the runs: `winninghand names executors`.",
            metavar="NAME",
            autocompletion=completion.names("executors"),
        ),
    ] = None,
    zoo: Annotated[
        Path | None,
        typer.Option(
            help="At the end, write cards, decks and figures to this folder.", callback=output_folder
        ),
    ] = None,
    threads: Threads = None,
    trust: Trust = False,
    yes: Annotated[bool, typer.Option("--yes", help="Plan more than 100,000 choices, too.")] = False,
    json: Json = None,
) -> None:
    """Train and measure many recipes, in order; run again on the same folder, it goes on where it was."""
    from winninghand.base.threads import use_threads
    from winninghand.cli.loading import images_as
    from winninghand.cli.options import write_json
    from winninghand.report.study_tables import (
        DECK_COLUMNS,
        ENDED_COLUMNS,
        deck_rows,
        ended_rows,
        write_claims,
        write_tables,
    )
    from winninghand.report.terminal import console, print_missing, print_models
    from winninghand.results import Results, ResultsWriter, RunResult
    from winninghand.studies import EXECUTORS, Publisher, RunsFailedError, load_study, run_study
    from winninghand.studies.fourier import measure_fourier

    asked = load_study(file)
    if zoo is not None and asked.zoo is None:
        raise InputError(f"{file} has no [zoo] table, which says how its models are published")
    if json is not None and not plan:
        raise InputError("--json takes the plan; give --plan with it, or leave it out")
    if part and plan:
        raise InputError("--plan takes nothing over; leave --part out, or start the study without --plan")
    use_threads(threads)
    images = images_as(asked.images, data, root)
    if executor is not None:
        _ = EXECUTORS[executor]  # an unknown name is said before anything is timed or trained
    if plan:
        from winninghand.studies.forecast import forecast

        takes = forecast(asked, images, out, workers or 1, trust, yes)
        for line in takes.lines():
            console.print(line)
        write_json(takes.to_json(), json)
        return
    if finished and not part and not out.exists():
        raise _none_finished(out)
    who = _executor(executor, workers, ray, gpus_per_run, threads)
    print_missing(asked.evaluation.missing)
    known = {run.name for run in ResultsWriter(out).read()}
    done: list[RunResult] = []
    decks: list[RunResult] = []
    order: dict[str, int] = {}
    written = 0.0
    failure: RunsFailedError | None = None
    try:
        for run in run_study(asked, images, out, console.print, finished, who, trust, yes, part or ()):
            order = order or {one["run"]: place for place, one in enumerate(Results(out).study["runs"])}
            if run.about.kind == "deck":
                decks.append(run)
                continue
            done.append(run)
            if run.name not in known and time.monotonic() - written > _SECONDS_BETWEEN_TABLES:
                write_tables(asked.title, [*order], sorted(done, key=lambda one: order[one.name]), out)
                written = time.monotonic()
    except RunsFailedError as error:  # it is told last, below the tables of what is done
        failure = error
    ended = ended_rows(Results(out), out)
    if failure is not None and not done:
        print_models(ENDED_COLUMNS, ended, "without figures")
        raise failure
    if not done and not known and Results(out).diverged:
        raise InputError(f"all trainings of the study diverged; {out / 'failures'} says where")
    if not done:
        raise _none_finished(out)
    done.sort(key=lambda one: order[one.name])
    columns, rows = write_tables(asked.title, [*order], done, out, decks)
    print_models(columns, rows, asked.title)
    if decks:
        print_models(DECK_COLUMNS, deck_rows(decks), "decks")
    if failure is None:
        measure_fourier(asked, images, out, done, console.print, trust)
        if zoo is not None:
            Publisher(asked, images, zoo, out, console.print, trust).publish(done)
    print_models(*write_claims(Results(out).claims, out), "claims")
    if ended:
        print_models(ENDED_COLUMNS, ended, "without figures")
    if failure is not None:
        raise failure


def _none_finished(out: Path) -> InputError:
    return InputError(f"no run of the study is finished in {out}; leave --finished out to train them")


def _executor(
    name: str | None, workers: int | None, ray: str | None, gpus: float | None, threads: int | None
) -> str | Executor:
    """Return who does the runs. Without Ray installed several workers are one, with the same results."""
    if workers is None and ray is None and gpus is None:
        return name or "serial"
    if name not in (None, "ray"):
        raise InputError(f"--workers, --ray and --gpus-per-run are for Ray; leave out --executor {name}")
    if ray is None and find_spec("ray") is None:
        from winninghand.report.terminal import console

        console.print("Ray is not installed: one run after the other; pip install 'winninghand[ray]'")
        return "serial"
    from winninghand.studies.ray_executor import RayExecutor

    return RayExecutor(workers, ray, gpus, threads or 1)


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

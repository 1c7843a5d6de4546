"""`winninghand benchmark`: how long a model takes by the engine, PyTorch and ONNX Runtime."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from winninghand.base.errors import InputError
from winninghand.cli.options import Json, Model, Threads, Trust, file_of, write_json


def benchmark(
    model: Model,
    batch: Annotated[
        str, typer.Option(help="Sizes of batches, joined by commas.", metavar="N,N,...")
    ] = "1,16,64",
    threads: Threads = None,
    trust: Trust = False,
    json: Json = None,
) -> None:
    """Measure how long a card or a deck takes on this CPU, by every runtime that is installed."""
    from winninghand.base.files import check_apart
    from winninghand.base.progress import progress_bar
    from winninghand.base.threads import use_threads
    from winninghand.cards.container import model_digest
    from winninghand.cli.measuring import opened, portable
    from winninghand.report.terminal import print_speeds
    from winninghand.runtimes import ROUNDS
    from winninghand.runtimes import benchmark as measured

    sizes = _sizes(batch)
    check_apart([file_of(json)], [model])
    use_threads(threads)
    player = opened(model, "cpu", trust)
    with progress_bar(model.name, ROUNDS * len(sizes), "rounds") as progress:
        speeds = measured(player, sizes, progress=progress)
    print_speeds(speeds)
    document = {
        "model": portable(model),
        "model_digest": model_digest(model),
        "machine": speeds.machine,
        "quiet": speeds.quiet,
        "rows": [asdict(row) for row in speeds.rows],
        "missing": speeds.missing,
    }
    write_json(document, json)


def _sizes(text: str) -> list[int]:
    """Return the sizes that `1,16,64` stands for."""
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or not all(1 <= size <= 4096 for size in sizes):
        raise InputError(f"--batch takes whole numbers from 1 to 4096 joined by commas, not {text!r}")
    return list(dict.fromkeys(sizes))

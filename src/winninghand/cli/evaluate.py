"""`winninghand evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.cli.options import (
    Corruptions,
    Data,
    Json,
    Limit,
    Root,
    Seed,
    Severities,
    parse_severities,
    write_json,
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL")],
    data: Data = "digits",
    root: Root = None,
    corruptions: Corruptions = "common",
    severities: Severities = "1-5",
    limit: Limit = None,
    seed: Seed = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Images that a gate looks at together.")] = 256,
    baseline: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="Another model, for paired differences from it.")
    ] = None,
    json: Json = None,
) -> None:
    """Measure a card or a deck on clean and corrupted test images."""
    from winninghand.cli.measuring import Measurement
    from winninghand.evaluation import compare
    from winninghand.images import load_images
    from winninghand.report.terminal import print_comparison, print_robustness

    levels = parse_severities(severities)
    measurement = Measurement(load_images(data, root=root), corruptions, levels, limit, seed, batch_size)
    measurement.announce()
    table = measurement.of(model)
    document = {"model": str(model), "data": measurement.images.name, **table.to_json()}
    print_robustness(table)
    if baseline is not None:
        differences = compare(table, measurement.of(baseline))
        print_comparison(baseline.name, differences)
        document["baseline"] = str(baseline)
        document["differences"] = {name: vars(interval) for name, interval in differences.items()}
    write_json(document, json)

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
        Path | None,
        typer.Option(
            metavar="MODEL", help="Another model, for mCE against it and paired differences from it."
        ),
    ] = None,
    cells: Annotated[
        Path | None, typer.Option(help="Also write one row per cell to this .parquet or .csv file.")
    ] = None,
    json: Json = None,
) -> None:
    """Measure a card or a deck on clean and corrupted test images."""
    from winninghand.cli.measuring import Measurement
    from winninghand.evaluation import checked_rows_path, compare, corruption_errors, find_archive, write_rows
    from winninghand.images import load_images
    from winninghand.report.terminal import print_comparison, print_robustness

    levels = parse_severities(severities)
    if cells is not None:
        checked_rows_path(cells)
    images = load_images(data, root=root)
    archive = find_archive(images.name, root)
    measurement = Measurement(images, archive, corruptions, levels, limit, seed, batch_size)
    measurement.announce()
    table = measurement.of(model)
    print_robustness(table)
    document = {"model": str(model), "data": images.name, **table.to_json()}
    document["archive"] = None if archive is None else str(archive.folder)
    if baseline is not None:
        other = measurement.of(baseline)
        differences, errors = compare(table, other), corruption_errors(table, other)
        print_comparison(baseline.name, differences, errors)
        document |= {"baseline": str(baseline), **errors.to_json()}
        document["differences"] = {name: vars(interval) for name, interval in differences.items()}
    if cells is not None:
        write_rows(table.rows(), cells)
    write_json(document, json)

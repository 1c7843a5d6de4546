"""Do the zoo's models still give the figures that are published with them?

    python -m benchmarks.zoo_reference --root FOLDER [NAME ...]

Measures models on the images of their `reference` figures, by PyTorch in full precision, and prints how far
each figure is from the published one. It ends with exit code 1 where a mean is more than 0.1 point away, or
a cell more than 1 point.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import winninghand as wh
from winninghand.base.progress import progress_bar
from winninghand.evaluation import Measurement
from winninghand.images import ImageSet
from winninghand.results import ZooRecord, zoo_records

MEAN, CELL = 0.001, 0.01
COLUMNS = ("model", "clean", "published", "robust", "published", "farthest cell, points", "")


def main() -> None:
    """Print one row for each model; exit with 1 where a figure is another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    parser.add_argument("--root", type=Path, help="where CIFAR-10 lies")
    given = parser.parse_args()
    known = {record.name: record for record in zoo_records()}
    unknown = [name for name in given.names if name not in known]
    if unknown:
        parser.error(f"no model of the zoo is called {unknown[0]!r}; there are {', '.join(known)}")
    images = wh.load_images("cifar10", root=given.root)
    console, table, rows = Console(width=120), Table(*COLUMNS), []
    for name in given.names or known:
        rows.append(_row(known[name], images))
        table.add_row(*rows[-1])
        console.print(f"{name}: {rows[-1][-1]}")
    console.print(table)
    sys.exit(int(any(row[-1] != "the same" for row in rows)))


def _row(record: ZooRecord, images: ImageSet) -> list[str]:
    told = record.reference
    measurement = Measurement("common", limit=told.images, seed=told.seed, batch_size=told.batch_size)
    with progress_bar(record.name, len(measurement) * told.images) as progress:
        model = wh.load(f"zoo:{record.name}")
        table = measurement.table(model, measurement.cells(model, images.test, progress))
    now = {(cell.corruption, cell.severity): cell.accuracy for cell in table.cells}
    farthest = max(abs(now[cell["corruption"], cell["severity"]] - cell["accuracy"]) for cell in told.cells)
    means = (
        (table.clean_accuracy, told.clean_accuracy),
        (table.robust_accuracy, told.robust_accuracy),
    )
    # Rounding of a published figure is no difference.
    same = farthest <= CELL + 1e-5 and all(abs(one - other) <= MEAN + 1e-5 for one, other in means)
    figures = [f"{100 * one:.2f}" for pair in means for one in pair]
    return [record.name, *figures, f"{100 * farthest:.2f}", "the same" if same else "another"]


if __name__ == "__main__":
    main()

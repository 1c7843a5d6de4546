"""Tables for people, on standard error: standard output belongs to programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from winninghand.cards import Card
from winninghand.evaluation import Interval, RobustnessTable

console = Console(stderr=True)


def print_training(card: Card, path: Path) -> None:
    """Say how a training ended."""
    accuracies = ", ".join(f"{name} {value:.2%}" for name, value in card.facts.accuracies.items())
    console.print(f"{path}: {path.stat().st_size:,} bytes; accuracy {accuracies}")


def print_robustness(table: RobustnessTable, title: str = "") -> None:
    """Print accuracies by corruption and severity."""
    severities = sorted({cell.severity for cell in table.cells})
    grid = Table("corruption", *(str(severity) for severity in severities), "mean", title=title or None)
    for name in table.corruptions:
        row = [cell for cell in table.cells if cell.corruption == name]
        grid.add_row(
            name,
            *(f"{cell.accuracy:.1%}" for cell in row),
            f"{sum(cell.accuracy for cell in row) / len(row):.1%}",
        )
    console.print(grid)
    console.print(
        f"clean accuracy {table.clean_accuracy:.2%}; robust accuracy {table.robust_accuracy:.2%} "
        f"(mean over {len(table.corruptions)} corruptions); {len(table.clean.correct):,} images; "
        f"{table.mean_passes:.2f} passes per image at batches of {table.batch_size}"
    )


def print_missing(missing: dict[str, str]) -> None:
    """Say which corruptions are left out of every mean, and how to have them."""
    for name, reason in missing.items():
        console.print(f"left out: {name}: {reason}")


def print_comparison(name: str, differences: dict[str, Interval]) -> None:
    """Print paired differences in percentage points, with their intervals."""
    for figure, interval in differences.items():
        console.print(
            f"{figure} − {name}'s: {100 * interval.mean:+.2f} points "
            f"(95% paired bootstrap over images {100 * interval.low:+.2f} to {100 * interval.high:+.2f})"
        )


def print_inspection(document: dict[str, Any]) -> None:
    """Print the sparsity per layer and the size of one card."""
    grid = Table("layer", "shape", "weights", "non-zero", "sparsity")
    for layer in document["layers"]:
        size = 1
        for length in layer["shape"]:
            size *= length
        shape = "×".join(str(length) for length in layer["shape"])
        grid.add_row(layer["name"], shape, f"{size:,}", f"{layer['nonzero']:,}", f"{layer['sparsity']:.2%}")
    console.print(grid)
    console.print(
        f"{document['parameters']:,} parameters, {document['nonzero']:,} non-zero; "
        f"sparsity {document['sparsity']:.2%} of the prunable weights; "
        f"{document['bytes']:,} bytes (entropy bound {document['entropy_bound_bytes']:,})"
    )


def print_models(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """Print one row per model."""
    grid = Table(*columns, title=title)
    for row in rows:
        grid.add_row(*row)
    console.print(grid)

"""Tables for people, on standard error: standard output belongs to programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from winninghand.base.errors import counted, percent, shown
from winninghand.cards import Card
from winninghand.cards.data_sheet import amount, stages, work_text
from winninghand.cards.inspection import Work
from winninghand.decks import Deck
from winninghand.decks.data_sheet import CARD_COLUMNS, card_rows, deck_sheet
from winninghand.evaluation import (
    Cell,
    CorruptionErrors,
    Heatmap,
    Interval,
    RobustnessTable,
)

if TYPE_CHECKING:
    from winninghand.exports.quantized import QuantizedFile
    from winninghand.runtimes import Speeds

# A log or a pipe has no width of its own, and rich's 80 columns would break the tables.
_COLUMNS = None if Console(stderr=True).is_terminal else 160

# Below this, something is wrong with the calibration.
_FEW_AGREE = 0.9

# Long enough for any path: what is cut cannot be copied.
_LONGEST = 10_000


class _Terminal(Console):
    """A console on which no text moves the cursor, colours what follows, or begins a line of its own."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 (rich's)
        """Return text as it may be printed; rich calls this for lines, titles, headers and cells alike."""
        return super().render_str(shown(text, _LONGEST), **options)


# Paths and messages are printed as they are: what stands in brackets is no markup.
console = _Terminal(stderr=True, width=_COLUMNS, markup=False, emoji=False)


def say(text: str) -> None:
    """Print one line, however long."""
    console.print(text, soft_wrap=True)


def print_training(card: Card, path: Path) -> None:
    """Say how a training ended."""
    accuracies = ", ".join(f"{name} {value:.2%}" for name, value in card.metadata.accuracies.items())
    say(f"{path}: {path.stat().st_size:,} bytes; accuracy {accuracies}")


def print_robustness(table: RobustnessTable) -> None:
    """Print accuracies by corruption and severity, and the figures made of them."""
    severities = sorted({cell.severity for cell in table.cells})
    columns = (
        "corruption",
        *(str(severity) for severity in severities),
        "mean",
        "calibration error",
        "source",
    )
    grid = Table(*columns)
    for name in table.corruptions:
        grid.add_row(name, *_figures([cell for cell in table.cells if cell.corruption == name]))
    console.print(grid)
    say(f"clean accuracy {_percent(table.clean_interval)}; {counted(len(table.clean.correct), 'image')}")
    if table.robust_interval is not None and table.worst_cell is not None:
        say(
            f"robust accuracy {_percent(table.robust_interval)}, the mean over "
            f"{counted(len(table.corruptions), 'corruption')}; {table.mean_passes:.2f} passes per image at "
            f"batches of {table.batch_size}"
        )
        if table.order != "cells":
            say(f"corrupted images came as one stream: {table.order}")
        if any(cell.source == "generated" for cell in table.cells):
            if table.saved_as == "jpeg":
                say(f"images made by the parameters of {table.parameters}, saved as JPEG of quality 85")
            elif table.parameters not in ("auto", "cifar10-c"):
                say(f"images made by the parameters of {table.parameters}, not saved as JPEG")
        if table.adaptation is not None:
            images = "image" if table.adaptation == 1 else "images"
            say(f"batch norms adapted to each batch, with a prior of {table.adaptation:g} {images}")
        groups, families = (
            ", ".join(f"{kind} {accuracy:.1%}" for kind, accuracy in means.items())
            for means in (table.groups, table.families)
        )
        worst = table.worst_cell
        say(f"by group: {groups}; by family: {families}")
        say(f"worst: {worst.corruption} {worst.severity} with {worst.accuracy:.1%}")


def _figures(cells: Sequence[Cell]) -> list[str]:
    """Return one corruption's accuracies, their mean, its mean calibration error and where it came from."""
    accuracies = [cell.accuracy for cell in cells]
    calibration = [cell.outcome.expected_calibration_error for cell in cells]
    return [
        *(f"{accuracy:.1%}" for accuracy in accuracies),
        f"{mean(accuracies):.1%}",
        f"{mean(calibration):.3f}",
        " and ".join(sorted({cell.source for cell in cells})),
    ]


def _percent(interval: Interval) -> str:
    return (
        f"{interval.mean:.2%} "
        f"(95% bootstrap over images {100 * interval.low:.2f} to {100 * interval.high:.2f})"
    )


def print_missing(missing: Mapping[str, str]) -> None:
    """Say which corruptions are left out of every mean, and how to have them."""
    for name, reason in missing.items():
        say(f"left out: {name}: {reason}")


def print_comparison(name: str, differences: Mapping[str, Interval], errors: CorruptionErrors) -> None:
    """Print paired differences in percentage points, and errors relative to the other model's."""
    for figure, interval in differences.items():
        say(
            f"{figure} − {name}'s: {100 * interval.mean:+.2f} points "
            f"(95% paired bootstrap over images {100 * interval.low:+.2f} to {100 * interval.high:+.2f})"
        )
    for title, ratios, average in (
        ("mCE", errors.absolute, errors.mean),
        ("relative mCE", errors.relative, errors.relative_mean),
    ):
        left_out = [corruption for corruption, ratio in ratios.items() if ratio is None]
        note = f"; without {', '.join(left_out)}, which did not hurt {name}" if left_out else ""
        say(f"{title} against {name}: {'undefined' if average is None else f'{100 * average:.1f}'}{note}")


def print_alexnet_errors(errors: CorruptionErrors, table: RobustnessTable) -> None:
    """Print the mCE against AlexNet's published errors, and which images it is taken over."""
    archived = all(cell.source == "archive" for cell in table.cells)
    made = "saved as JPEG" if table.saved_as == "jpeg" else "not saved as JPEG"
    say(
        f"mCE against AlexNet's published errors on ImageNet-C: {100 * (errors.mean or 0):.1f} over "
        f"{counted(len(errors.absolute), 'corruption')} of 15, on images "
        + ("of the archive" if archived else f"that were made here, {made}")
    )


def print_heatmap(heatmap: Heatmap) -> None:
    """Say how the error under one frequency at a time compares with the clean one."""
    vertical, horizontal = heatmap.worst_frequency
    say(
        f"error {heatmap.clean_error:.2%} clean, {heatmap.mean_error:.2%} on average under one frequency of "
        f"norm {heatmap.norm:g}, {heatmap.errors.max():.2%} at worst ({vertical} vertical, {horizontal} "
        f"horizontal cycles per image); {counted(heatmap.images, 'image')}"
    )


def print_inspection(model: Card | Deck, document: dict[str, Any], each_layer: bool = False) -> None:
    """Print a model's data sheet, and the sparsity of its stages, or with `each_layer` of its layers.

    `document` is what `inspect_file` says of it.
    """
    if model.kind == "card":
        sheet = model.data_sheet()
    else:
        sheet = deck_sheet(model.cards, model.gate, model.settings) | _sums(document)
    sheet["bytes"] = (
        f"{document['bytes']:,} ({document['entropy_bound_bytes']:,} at the entropies of each layer)"
    )
    grid = Table.grid(padding=(0, 2))
    for name, text in sheet.items():
        grid.add_row(name, text)
    console.print(grid)
    if model.kind == "deck":
        grid = Table(*CARD_COLUMNS)
        for row in card_rows(model.cards, model.temperatures.tolist()):
            grid.add_row(*row)
        console.print(grid)
    _print_stages(document, each_layer)
    _print_bodies(document)


def _sums(document: dict[str, Any]) -> dict[str, str]:
    """Return the lines of a deck's data sheet that are sums over its cards."""
    work = Work(document["macs"], document["nonzero_macs"], {})
    return {
        "parameters": f"{document['parameters']:,}, of which {document['nonzero']:,} are not zero",
        "sparsity": f"{percent(document['sparsity'])} of the prunable weights",
        "multiply-accumulates": f"{work_text(work)} where all cards play",
    }


_MOST_CARDS = 8


def _print_stages(document: dict[str, Any], each_layer: bool) -> None:
    """Print what each stage, or each layer, has; of cards that have the same ones, side by side."""
    layers, cards = document["layers"], document.get("cards", [])
    parts = [[(layer["name"], layer["shape"]) for layer in card["layers"]] for card in cards]
    alike = 0 < len(parts) <= _MOST_CARDS and all(part == parts[0] for part in parts)
    columns = [card["layers"] for card in cards] if alike else [layers]
    names = [layer["name"] for layer in columns[0]]
    groups = stages(names, len(names)) if each_layer else stages(names)
    single = len(groups) == len(names)
    heads = (
        [f"sparsity {number}" for number in range(1, len(columns) + 1)] if alike else ["non-zero", "sparsity"]
    )
    first = ("layer", "shape") if single else ("stage", "layers")
    grid = Table(*first, "multiply-accumulates", "weights", *heads)
    for name, numbers in groups.items():
        some = [columns[0][number] for number in numbers]
        size = sum(prod(layer["shape"]) for layer in some)
        left = [sum(layers[number]["nonzero"] for number in numbers) for layers in columns]
        shape = "×".join(map(str, some[0]["shape"])) if single else f"{len(some):,}"
        counts = [] if alike else [f"{left[0]:,}"]
        macs = amount(sum(layer["macs"] for layer in some))
        grid.add_row(name, shape, macs, f"{size:,}", *counts, *(sparsity_text(one, size) for one in left))
    console.print(grid)


def _print_bodies(document: dict[str, Any]) -> None:
    """Say what a body that cards share takes, and what the norms of each of these do."""
    for body in document.get("bodies", ()):
        numbers = ", ".join(str(number + 1) for number in body["cards"])
        say(f"cards {numbers} share one body: {body['parameters']:,} parameters, {body['bytes']:,} bytes")
        for number in body["cards"]:
            own = document["cards"][number]["norms"]
            say(
                f"norms and profile of card {number + 1} ({own['domain'] or 'domain not known'}): "
                f"{own['parameters']:,} parameters, {own['bytes']:,} bytes"
            )


def sparsity_text(nonzero: int, size: int) -> str:
    """Return the fraction that is zero in percent, with as many digits as tell it from 0% and 100%."""
    return percent(1 - nonzero / size if size else 0.0)


def print_quantized(file: QuantizedFile) -> None:
    """Print a file of whole numbers beside the same model's file of floats."""
    grid = Table("weights", "bytes", "ms for 1 image")
    grid.add_row("float", f"{file.float_bytes:,}", f"{file.float_milliseconds:.3g}")
    grid.add_row("int8", f"{file.bytes:,}", f"{file.milliseconds:.3g}")
    console.print(grid)
    levels = "weights rounded to int8" if file.rounded else "weights by their own levels"
    if file.rounded_layers and not file.rounded:
        levels += f" (rounded for this file: {file.rounded_layers} of {counted(file.layers, 'layer')})"
    say(f"{levels}; times are medians of 21 runs in turn, by ONNX Runtime on 1 thread")
    say(f"{file.agreement:.1%} of {counted(file.images, 'calibration image')} keep their class")
    if file.agreement < _FEW_AGREE:
        say("calibrate on more images, and on such as will come: --data, --limit")


def print_models(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """Print one row per model."""
    grid = Table(*columns, title=title)
    for row in rows:
        grid.add_row(*row)
    console.print(grid)


def print_speeds(speeds: Speeds) -> None:
    """Print how long each runtime takes, what it ran on, and whether anybody disturbed that."""
    grid = Table("runtime", "batch", "ms", "least to largest", "images/s", "times torch")
    torch_takes = {row.batch: row.milliseconds for row in speeds.rows if row.runtime == "torch"}
    for row in speeds.rows:
        least, largest = row.spread
        grid.add_row(
            row.runtime,
            str(row.batch),
            f"{row.milliseconds:.3g}" + ("" if row.quiet is not False else " *"),
            f"{least:.3g} to {largest:.3g}",
            f"{row.images_per_second:,.0f}",
            f"{torch_takes[row.batch] / row.milliseconds:.2f}",
        )
    console.print(grid)
    say(
        ", ".join(
            f"{value}" if key == "processor" else f"{key} {value}" for key, value in speeds.machine.items()
        )
    )
    for name, reason in speeds.missing.items():
        say(f"without {name}: {reason}")
    if not speeds.quiet:
        say(
            "* other processes took more than 5% of the cores: such a figure says little; try a quiet machine"
        )

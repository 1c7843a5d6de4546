"""The page of `winninghand evaluate --html`: one model, corruption by corruption."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from winninghand.base.charts import caption_of
from winninghand.base.errors import counted, spaced
from winninghand.decks.choices import Choices
from winninghand.evaluation import Interval, RobustnessTable
from winninghand.report.page import Page, Section, Step, Table, Tile
from winninghand.report.samples import ContactSheet
from winninghand.report.sections import accuracy_section, choices_section, samples_section


@dataclass(frozen=True)
class Evaluated:
    """What was measured: the model and the data as people name them, the bytes of its file, the table.

    `root` is whether the data was looked for in a folder that was named, which a command must name again.
    `kind` is `card` or `deck`, `one_body` whether a deck's cards share theirs; `choices` says whom a deck
    played when, `sheet` what the images look like.
    `differences` are by how much its accuracies exceed those of the model `baseline`.
    """

    model: str
    data: str
    kind: str
    bytes: int
    table: RobustnessTable
    sheet: ContactSheet | None = None
    choices: Choices | None = None
    baseline: str | None = None
    differences: Mapping[str, Interval] | None = None
    root: bool = False
    one_body: bool = False


def evaluation_page(found: Evaluated) -> Page:
    """Return the page: key figures, accuracy by corruption, who plays when, samples, what to do next."""
    table = found.table
    caption = caption_of(found.data, len(table.clean.correct), table.seed)
    introduction = [f"{caption}; {_corrupted(table)}."]
    introduction += [f"Left out: {name}: {reason}." for name, reason in table.missing.items()]
    sections = [
        *([accuracy_section(table, caption)] if table.cells else []),
        *([_compared(found)] if found.differences else []),
        *([choices_section(found.choices, caption)] if found.choices is not None else []),
        *([samples_section(found.sheet)] if found.sheet is not None else []),
        Section("What to do next", steps=_steps(found)),
    ]
    return Page(f"Evaluation of a {found.kind}", found.model, introduction, _tiles(found), sections)


def _corrupted(table: RobustnessTable) -> str:
    if not table.cells:
        return "clean only"
    sources = " and ".join(sorted({cell.source for cell in table.cells}))
    words = [
        counted(len(table.corruptions), "corruption"),
        f"{sources} images",
        f"order {table.order}",
        f"batches of {table.batch_size}",
        f"parameters {table.parameters}",
    ]
    if table.adaptation is not None:
        words.append(f"batch norms adapted, prior {table.adaptation:g}")
    return ", ".join(words)


def _tiles(found: Evaluated) -> list[Tile]:
    table = found.table
    tiles = [Tile("Clean accuracy", f"{table.clean_accuracy:.1%}", _between(table.clean_interval))]
    worst = table.worst_cell
    if table.robust_interval is not None and worst is not None:
        tiles.append(Tile("Robust accuracy", f"{table.robust_accuracy:.1%}", _between(table.robust_interval)))
        name = f"{spaced(worst.corruption)}, severity {worst.severity}"
        tiles.append(Tile("Worst cell", f"{worst.accuracy:.1%}", name))
    tiles.append(Tile("Size", f"{found.bytes / 1000:,.0f} kB", f"{table.mean_passes:.2f} networks per image"))
    return tiles


def _between(interval: Interval) -> str:
    return f"95% interval {100 * interval.low:.1f} to {100 * interval.high:.1f}"


def _compared(found: Evaluated) -> Section:
    rows = [[spaced(name), interval.in_points] for name, interval in (found.differences or {}).items()]
    return Section(
        f"Against {found.baseline}",
        ["Points above it, with 95% intervals: paired by image, bootstrap over images."],
        tables=[Table(["accuracy", "difference"], rows)],
    )


def _steps(found: Evaluated) -> list[Step]:
    """Say what can be done with the model, by what was found."""
    model = shlex.quote(found.model)
    # Its own name is left out: no page says where files lie on the machine that wrote it.
    data = f"{shlex.quote(found.data)}{' --root FOLDER' if found.root else ''}"
    steps = []
    if found.table.families:
        family, lowest = min(found.table.families.items(), key=lambda one: one[1])
        weak = f"It is weakest under {family} ({lowest:.1%})."
        if found.kind == "card":
            words = (
                f"{weak} A deck of one body has norms for several kinds of images, and a gate that chooses."
            )
            steps.append(Step(words, f"winninghand specialize {model} a.deck --data {data}"))
        else:
            words = f"{weak} See whether more cards at once help: each costs a pass."
            again = (
                "specialize CARD b.deck --set max_active=3"
                if found.one_body
                else "deck b.deck CARD CARD … --max-active 3"
            )
            steps.append(Step(words, f"winninghand {again} --data {data}"))
    words = "See which spatial frequencies disturb it."
    steps.append(Step(words, f"winninghand heatmap {model} --data {data} --out map.svg"))
    if found.baseline is None:
        words = "Compare it with another model, image by image."
        command = f"winninghand evaluate {model} --data {data} --baseline OTHER --html page.html"
        steps.append(Step(words, command))
    steps.append(Step("Measure how fast it runs.", f"winninghand benchmark {model}"))
    steps.append(Step("Take it elsewhere, as ONNX or C.", f"winninghand export {model} a.onnx"))
    return steps

"""What the demo found: its table and its page."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from winninghand.base.charts import caption_of, save_picture
from winninghand.base.errors import counted
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.evaluation import RobustnessTable, compare
from winninghand.report.charts import accuracy_by_severity
from winninghand.report.page import Page, Section, Step, Table, Tile
from winninghand.report.samples import ContactSheet
from winninghand.report.sections import choices_in, choices_section, models_section, samples_section
from winninghand.report.terminal import print_models

COLUMNS = ("model", "clean", "robust", "bytes", "passes", "ms: PyTorch", "ms: engine")

_INTRODUCTION = (
    "A dense network as most people train it, one trained under AugMix, a card of which a tenth of the "
    "weights is left, and the deck of that card under three sets of norms. Dense networks and card were "
    "trained for the same number of epochs from seed 0."
)


@dataclass(frozen=True)
class Contender:
    """One model: the bytes of its file, what was measured, milliseconds per image by each runtime."""

    model: Card | Deck
    bytes: int
    table: RobustnessTable
    by_torch: float
    by_engine: float

    def row(self, name: str) -> list[str]:
        """Return the model's row of the table."""
        return [
            name,
            f"{self.table.clean_accuracy:.1%}",
            f"{self.table.robust_accuracy:.1%}",
            f"{self.bytes:,}",
            f"{self.table.mean_passes:.2f}",
            f"{self.by_torch:.3f}",
            f"{self.by_engine:.3f}",
        ]


def show(
    contenders: Mapping[str, Contender], images: int, samples: ContactSheet, out: Path, deck: str
) -> None:
    """Print the table, and write `report.html` and `accuracy.svg` to the folder `out`.

    The models stand by their names, dense networks first and the deck last; `images` were measured. `deck`
    is the name of the deck's file in that folder.
    """
    rows = [player.row(name) for name, player in contenders.items()]
    tables = {name: player.table for name, player in contenders.items()}
    caption = caption_of("digits", images, 0)
    save_picture(accuracy_by_severity(tables, caption), out / "accuracy.svg")
    page = Page(
        "Demo",
        "Winning Hand: a small network that stays right on digits",
        [_INTRODUCTION],
        _tiles(contenders),
        [
            Section(
                "Models", _notes(contenders, images), tables=[Table(COLUMNS, rows), _differences(contenders)]
            ),
            models_section(tables, caption),
            *_choices(contenders, caption),
            samples_section(samples),
            next_section(out / deck),
        ],
    )
    page.write(out / "report.html")
    print_models(COLUMNS, rows, f"digits, {counted(images, 'test image')}, one seed")


def next_section(deck: Path) -> Section:
    """Return what to do next with the deck's file, in commands for the folder that the demo began in."""
    program, file = shlex.quote(program_name()), shlex.quote(str(deck))
    return Section(
        "What to do next",
        [
            "Enter these commands in the folder in which you started the demo; PICTURE.png and photographs "
            "are yours."
        ],
        steps=[
            Step(
                "Play the deck on pictures of your own, of any size.", f"{program} predict {file} PICTURE.png"
            ),
            Step(
                "Look at one model by itself: severity by severity, and at whom a deck plays when.",
                f"{program} evaluate {file} --html deck.html",
            ),
            Step(
                "Train a card on your own photographs, a folder for each class.",
                f"{program} train --data photographs --size 64 --out runs/a",
            ),
            Step("See the cards and decks that come with the library.", f"{program} zoo"),
        ],
    )


def program_name() -> str:
    """Return how to call winninghand: by its name where the shell finds it, else by the path of its script.

    A path in the present folder is given from there, such as `.venv/bin/winninghand` after `make demo`.
    """
    name = "winninghand"
    script = Path(sys.executable).with_name(name)
    if shutil.which(name) or not script.is_file():
        return name
    here = Path.cwd()
    return str(script.relative_to(here) if script.is_relative_to(here) else script)


def _tiles(contenders: Mapping[str, Contender]) -> list[Tile]:
    """Return each model's robust accuracy as a key figure."""
    return [
        Tile(
            f"{name}, robust",
            f"{player.table.robust_accuracy:.1%}",
            f"{player.table.clean_accuracy:.1%} clean, {player.bytes / 1000:,.0f} kB",
        )
        for name, player in contenders.items()
    ]


def _choices(contenders: Mapping[str, Contender], caption: str) -> list[Section]:
    """Return whom the last deck played when."""
    *_, last = contenders.values()
    choices = choices_in(last.table, last.model.cards)
    return [] if choices is None else [choices_section(choices, caption)]


def _notes(contenders: Mapping[str, Contender], images: int) -> list[str]:
    first, *_ = contenders.values()
    note = (
        f"Handwritten digits, {counted(images, 'test image')}, one seed. Robust accuracy is the mean over "
        f"{counted(len(first.table.corruptions), 'corruption')} at all severities. Milliseconds are for an "
        f"image, the median at batches of 64 on {counted(torch.get_num_threads(), 'thread')} of this machine."
    )
    return [note, *(f"Left out: {name}: {reason}" for name, reason in first.table.missing.items())]


def _differences(contenders: Mapping[str, Contender]) -> Table:
    """Return by how much each model's robust accuracy exceeds that of each dense network."""
    baselines = {name: contenders[name].table for name in list(contenders)[:2]}
    rows = [
        [name, *("" if name == other else _points(player.table, table) for other, table in baselines.items())]
        for name, player in contenders.items()
    ]
    columns = ["model", *(f"against: {name}" for name in baselines)]
    return Table(
        columns, rows, "Robust accuracy in points, with the 95% interval (paired by image, bootstrap)"
    )


def _points(table: RobustnessTable, other: RobustnessTable) -> str:
    return compare(table, other)["robust_accuracy"].in_points

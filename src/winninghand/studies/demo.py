"""The whole main job on the embedded digits: a dense network, a card per domain, a deck, a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from winninghand.base.charts import caption_of, drawing, save_picture
from winninghand.base.device import best_device, to_unit
from winninghand.base.progress import with_progress
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.evaluation import (
    Measurement,
    RobustnessTable,
    compare,
    milliseconds_per_image,
)
from winninghand.images import ImageSet, load_images
from winninghand.recipe import Recipe, make_recipe
from winninghand.report.charts import accuracy_by_severity
from winninghand.report.page import Page, Section, Step, Table, Tile, template_engine
from winninghand.report.samples import contact_sheet
from winninghand.report.sections import choices_in, choices_section, models_section, samples_section
from winninghand.report.terminal import console, print_missing, print_models
from winninghand.training import train

COLUMNS = ("model", "clean accuracy", "robust accuracy", "bytes", "ms per image", "passes")

_STEPS = (
    Step("Play the deck on pictures of your own, of any size.", "winninghand predict deck.deck PICTURE.png"),
    Step(
        "Look at one model by itself: severity by severity, and at whom a deck plays when.",
        "winninghand evaluate deck.deck --html deck.html",
    ),
    Step(
        "Train a card on your own photographs, a folder for each class.",
        "winninghand train --data photographs --size 64 --out runs/a",
    ),
    Step("See the cards and decks that come with the library.", "winninghand zoo"),
)

# One dense phase and four rounds reach 90%; the dense network trains as many epochs in all.
_EPOCHS, _PHASES, _FRACTION, _SPARSITY = 8, 5, 0.44, 0.9


@dataclass(frozen=True)
class Contender:
    """One model of the demo, its file and what was measured of it."""

    model: Card | Deck
    path: Path
    table: RobustnessTable
    milliseconds: float

    def row(self, name: str) -> list[str]:
        """Return the model's row of the table."""
        return [
            name,
            f"{self.table.clean_accuracy:.1%}",
            f"{self.table.robust_accuracy:.1%}",
            f"{self.path.stat().st_size:,}",
            f"{self.milliseconds:.3f}",
            f"{self.table.mean_passes:.2f}",
        ]


def run_demo(out: Path) -> None:
    """Train, measure and show; leaves `report.html`, cards and a deck in the folder `out`."""
    drawing()  # missing, these are missed now and not after the trainings
    template_engine()
    images = load_images("digits")
    measurement = Measurement()
    print_missing(measurement.missing)
    cards = {}
    for name, recipe in _recipes().items():
        console.print(f"training {name}")
        cards[name] = train(recipe, images, out / "runs" / name.replace(" ", "-"))
    contenders = {
        name: _measured(card, out / f"{name.replace(' ', '-')}.card", images, measurement)
        for name, card in cards.items()
    }
    deck = Deck([card for name, card in cards.items() if name != "dense"], gate="spectral")
    for gate in ("average", "spectral"):
        contenders[f"deck, {gate} gate"] = _measured(
            deck.with_gate(gate), out / "deck.deck", images, measurement
        )
    _show(contenders, images, out)


def _recipes() -> dict[str, Recipe]:
    # Digits are neither mirrored nor moved as far as photographs: a mirrored 2 is no 2.
    base = {"flip": False, "padding": 2}
    training = {"batch_size": 128, "learning_rate": 0.1}
    dense = {
        "network": {"name": "resnet18", "width": 8},
        "domain": {"name": "clean", **base},
        "compression": {"method": "dense"},
        "training": {**training, "epochs": _EPOCHS * _PHASES},
    }
    card = {
        **dense,
        "compression": {"method": "lrr", "sparsity": _SPARSITY, "fraction_per_round": _FRACTION},
        "training": {**training, "epochs": _EPOCHS},
    }
    return {
        "dense": make_recipe(dense),
        "lrr clean": make_recipe(card),
        "lrr gaussian": make_recipe({**card, "domain": {"name": "gaussian", **base}}),
    }


def _measured(model: Card | Deck, path: Path, images: ImageSet, measurement: Measurement) -> Contender:
    model.save(path)
    model.to(best_device())
    cells = measurement.cells(model, images.test)
    watched = with_progress(cells, f"measuring {path.name}", len(measurement), "cells")
    table = measurement.table(model, watched)
    batch = to_unit(torch.from_numpy(images.test.images[:64]).to(best_device()))
    return Contender(model, path, table, milliseconds_per_image(model, batch))


def _show(contenders: Mapping[str, Contender], images: ImageSet, out: Path) -> None:
    rows = [player.row(name) for name, player in contenders.items()]
    tables = {name: player.table for name, player in contenders.items()}
    caption = caption_of("digits", len(images.test), 0)
    save_picture(accuracy_by_severity(tables, caption), out / "accuracy.svg")
    introduction = (
        "A dense network, cards pruned to 90% by learning-rate rewinding in two training domains, "
        "and the deck of both. All were trained for the same number of epochs from seed 0."
    )
    page = Page(
        "Demo",
        "Winning Hand: compact cards on the digits",
        [introduction],
        _tiles(contenders),
        [
            Section(
                "Models", _notes(contenders, images), tables=[Table(COLUMNS, rows), _differences(contenders)]
            ),
            models_section(tables, caption),
            *_choices(contenders, caption),
            samples_section(contact_sheet(images.test, tables["dense"].corruptions, data="digits")),
            Section("What to do next", steps=_STEPS),
        ],
    )
    page.write(out / "report.html")
    print_models(COLUMNS, rows, f"digits, {len(images.test)} test images, one seed")
    console.print(f"the page: {out / 'report.html'}")


def _tiles(contenders: Mapping[str, Contender]) -> list[Tile]:
    """Return each model's robust accuracy as a key figure."""
    return [
        Tile(
            f"{name}, robust",
            f"{player.table.robust_accuracy:.1%}",
            f"{player.table.clean_accuracy:.1%} clean, {player.path.stat().st_size / 1000:,.0f} kB",
        )
        for name, player in contenders.items()
    ]


def _choices(contenders: Mapping[str, Contender], caption: str) -> list[Section]:
    """Return whom the last deck played when."""
    *_, last = contenders.values()
    choices = choices_in(last.table, last.model.cards)
    return [] if choices is None else [choices_section(choices, caption)]


def _notes(contenders: Mapping[str, Contender], images: ImageSet) -> list[str]:
    first = contenders["dense"].table
    note = (
        f"Handwritten digits, {len(images.test)} test images, one seed. Robust accuracy is the mean over "
        f"{len(first.corruptions)} corruptions at five severities; decks saw batches of {first.batch_size} "
        "images of one corruption. Milliseconds are the median at batches of 64 on this machine."
    )
    return [note, *(f"Left out: {name}: {reason}" for name, reason in first.missing.items())]


def _differences(contenders: Mapping[str, Contender]) -> Table:
    """Return by how much each model's robust accuracy exceeds the dense network's."""
    first = contenders["dense"].table
    rows = [
        [name, compare(player.table, first)["robust_accuracy"].in_points]
        for name, player in contenders.items()
        if name != "dense"
    ]
    title = "Robust accuracy against the dense network"
    return Table(["model", "points, with the 95% interval (paired by image, bootstrap)"], rows, title)

"""The whole main job on the embedded digits: dense networks, a card, a deck of it, their measurement, a page.

Network, domains and epochs were chosen on training images held out: docs/results.md, "The demo's networks".
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch

from winninghand.base.charts import drawing
from winninghand.base.device import to_unit
from winninghand.base.errors import counted
from winninghand.base.progress import progress_bar, with_progress
from winninghand.cards import Card
from winninghand.corruptions import Archive, write_archive
from winninghand.decks import Deck
from winninghand.evaluation import Measurement, milliseconds_per_image
from winninghand.images import ImageSet, load_images
from winninghand.recipe import Recipe, make_recipe
from winninghand.report.page import template_engine
from winninghand.report.samples import contact_sheet
from winninghand.report.terminal import print_missing, say
from winninghand.runtimes.compiling import compile as compiled
from winninghand.studies.demo_page import Contender, show
from winninghand.training import train
from winninghand.training.specializing import images_to_go, specialize

# A dense phase and two rounds reach 90%; the dense networks train for as many epochs in all.
_EPOCHS, _MILESTONES, _SPARSITY = 13, (0.7,), 0.9
_NETWORK = {"name": "resnet18", "width": 16, "stem_stride": 2}
# Digits are neither mirrored nor moved as far as photographs: a mirrored 2 is no 2.
_PLACES = {"flip": False, "padding": 2}
_AUGMIX = {"name": "augmix", "jsd": False, **_PLACES}
_DOMAINS = ({"name": "gaussian", **_PLACES}, _AUGMIX, {"name": "prime", "jsd": False, **_PLACES})
_NORMS_EPOCHS = 2

DENSE, DENSE_AUGMIX, CARD, DECK = (
    "dense network, clean",
    "dense network, AugMix",
    f"card, {_SPARSITY:.0%} sparse, AugMix",
    "deck of that card",
)
_FILES = {
    DENSE: "dense-clean.card",
    DENSE_AUGMIX: "dense-augmix.card",
    CARD: "lrr-augmix.card",
    DECK: "deck.deck",
}
_WHY = {
    DENSE: "what most people have",
    DENSE_AUGMIX: "training images are mixed with changed copies, changed by none of the test's corruptions",
    CARD: "after each phase the smallest weights go, and the rest learns on",
}


def run_demo(out: Path) -> None:
    """Train, specialize, measure and show; leaves `report.html`, cards and a deck in the folder `out`.

    Trainings that were stopped go on, and corrupted images that are there are kept.
    """
    drawing()  # missing, these are missed now and not after the trainings
    template_engine()
    started, steps = time.monotonic(), _steps()
    images = load_images("digits")
    measurement = Measurement()
    print_missing(measurement.missing)
    models: dict[str, Card | Deck] = {}
    for name, recipe in _recipes().items():
        say(f"{next(steps)} training: {name}: {_WHY[name]}")
        models[name] = train(recipe, images, out / "runs" / Path(_FILES[name]).stem)
    say(
        f"{next(steps)} specializing the card: norms for each domain on its one body, and a gate that chooses"
    )
    card = models[CARD]
    assert isinstance(card, Card)
    models[DECK] = _specialized(card, images)
    kinds = counted(len(measurement.names), "corruption")
    levels = counted(len(measurement.severities), "severity", "severities")
    say(f"{next(steps)} corrupting {len(images.test)} test images, which no training saw: {kinds}, {levels}")
    archive = _corrupted(images, measurement, out / "corrupted")
    measurement = Measurement(measurement.corruptions, measurement.severities, archive=archive)
    say(f"{next(steps)} measuring: all these images by the engine, and how long PyTorch and the engine take")
    contenders = {
        name: _measured(model, out / _FILES[name], images, measurement) for name, model in models.items()
    }
    samples = contact_sheet(images.test, measurement.names, data="digits")
    show(contenders, len(images.test), samples, out, _FILES[DECK])
    say(f"done in {time.monotonic() - started:.0f} seconds; the page: {out / 'report.html'}")


def _steps() -> Iterator[str]:
    number = len(_WHY) + 3
    return (f"[{step}/{number}]" for step in range(1, number + 1))


def _recipes() -> dict[str, Recipe]:
    training = {"batch_size": 128, "learning_rate": 0.1}
    epochs = _EPOCHS * (len(_MILESTONES) + 2)
    dense = {
        "network": _NETWORK,
        "domain": {"name": "clean", **_PLACES},
        "compression": {"method": "dense"},
        "training": {**training, "epochs": epochs},
    }
    card = {
        **dense,
        "domain": _AUGMIX,
        "compression": {"method": "lrr", "sparsity": _SPARSITY, "milestones": list(_MILESTONES)},
        "training": {**training, "epochs": _EPOCHS},
    }
    return {
        DENSE: make_recipe(dense),
        DENSE_AUGMIX: make_recipe({**dense, "domain": _AUGMIX}),
        CARD: make_recipe(card),
    }


def _specialized(card: Card, images: ImageSet) -> Deck:
    total = images_to_go(card, images, len(_DOMAINS), _NORMS_EPOCHS, None)
    with progress_bar("specializing", total) as progress:
        return specialize(card, images, _DOMAINS, _NORMS_EPOCHS, progress=progress)


def _corrupted(images: ImageSet, measurement: Measurement, folder: Path) -> Archive:
    """Return the corrupted test images, made once for all models."""
    test = images.test
    with progress_bar(f"writing {folder.name}", len(measurement) - 1, "cells") as progress:
        return write_archive(
            test.images,
            test.labels,
            folder,
            measurement.names,
            measurement.severities,
            progress=lambda name, severity: progress(1, f"{name} {severity}"),
        )


def _measured(model: Card | Deck, path: Path, images: ImageSet, measurement: Measurement) -> Contender:
    model.save(path)
    model.cpu()  # where both runtimes can be timed
    fast = compiled(model)
    cells = measurement.cells(fast, images.test)
    table = measurement.table(fast, with_progress(cells, f"measuring {path.name}", len(measurement), "cells"))
    batch = to_unit(torch.from_numpy(images.test.images[:64]))
    times = [milliseconds_per_image(one, batch) for one in (model, fast)]
    return Contender(model, path.stat().st_size, table, *times)

"""One deck of a study: made of its cards, fitted, and measured on what every card is measured on."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from winninghand.base.device import best_device
from winninghand.base.errors import InputError
from winninghand.base.progress import with_progress
from winninghand.cards import Card
from winninghand.decks import Deck, fit_gate, load_card
from winninghand.decks.gate import gate_settings
from winninghand.images import ImageSet
from winninghand.results import About, CellResult, RunResult
from winninghand.studies.costs import with_costs
from winninghand.studies.deck_tasks import DeckTask
from winninghand.studies.environment import ran_on
from winninghand.studies.study import Study
from winninghand.training.identity import data_digest, run_path
from winninghand.training.run_folder import RunFolder
from winninghand.training.specializing import specialize

DECKS = "decks"


def deck_path(out: Path, name: str) -> Path:
    """Return where a deck lies in the folder of its study."""
    return out / DECKS / f"{name}.deck"


def card_paths(task: DeckTask, out: Path) -> dict[str, Path]:
    """Return where the cards that a deck may play lie in the folder of its study, by the runs' names."""
    return {spec.name: RunFolder(run_path(out, spec.recipe)).card for spec in task.cards}


def made_deck(
    task: DeckTask, images: ImageSet, out: Path, trust: bool = False
) -> tuple[Deck, tuple[str, ...]]:
    """Make a deck of the cards below `out` and fit it; return it, and the runs of the cards that it plays.

    Raises `InputError` where a card is not there.
    """
    paths = card_paths(task, out)
    for path in paths.values():
        if not path.exists():
            raise InputError(
                f"the deck {task.name} needs {path}, which is gone, and its run is done already; put it "
                "back, leave the deck out, or train anew with another --out"
            )
    cards = {name: load_card(path, trust=trust) for name, path in paths.items()}
    if task.domains:
        name = _best(cards)
        settings = gate_settings(task.gate, dict(task.settings))
        return specialize(cards[name], images, task.domains, gate=task.gate, settings=settings), (name,)
    deck = Deck([*cards.values()], task.gate, **task.settings)
    return fit_gate(deck, images.train), tuple(cards)


def measured_deck(
    task: DeckTask, study: Study, images: ImageSet, out: Path, trust: bool = False
) -> RunResult:
    """Make a deck, leave its file below `out`, and return what was measured of it."""
    deck, members = made_deck(task, images, out, trust)
    path, device, measurement = deck_path(out, task.name), best_device(), study.evaluation
    deck.save(path)
    content = path.read_bytes()
    measuring = with_progress(
        measurement.cells(deck.to(device), images.test), f"measuring {task.name}", len(measurement), "cells"
    )
    cells = [CellResult.of(cell) for cell in measuring]
    about = About(
        run=task.name,
        kind="deck",
        measured_on="study",
        data=images.name,
        data_digest=data_digest(images),
        evaluation=measurement.to_json(),
        members=members,
        **task.asked,
        gate=deck.gate,
        digest=blake2b(content, digest_size=8).hexdigest(),
        bytes=len(content),
        parameters=sum(weight.numel() for weight in deck.parameters()),
        **ran_on(device, "32-true"),
    )
    return RunResult.of(with_costs(about, deck, images, measurement.times), cells)


def is_measured(task: DeckTask, known: RunResult | None, study: Study) -> bool:
    """Say whether results of this name are of this deck, on what the study measures now."""
    if known is None or known.about.kind != "deck" or known.about.evaluation != study.evaluation.to_json():
        return False
    about = known.about
    # Earlier versions wrote no choice of decks, and the earliest no gate.
    if about.gate not in (None, task.gate) or about.choice not in ({}, task.choice):
        return False
    members = set(about.members)
    return members <= set(task.members) if task.domains else members == set(task.members)


def _best(cards: dict[str, Card]) -> str:
    """Return the run whose card is the best on validation images, the first of equal ones."""
    return max(cards, key=lambda name: cards[name].metadata.accuracies.get("validation") or 0.0)

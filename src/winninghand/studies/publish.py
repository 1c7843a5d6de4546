"""From a study's runs to the zoo: the card to ship of each choice, the decks, and their figures."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from winninghand.base.device import best_device, bf16_pays, to_unit
from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write, checked_name
from winninghand.base.progress import with_progress
from winninghand.cards import Card
from winninghand.decks import Deck, load_card
from winninghand.decks.opening import load
from winninghand.evaluation import Measurement, corruption_errors, milliseconds_per_image
from winninghand.images import ImageSet
from winninghand.recipe import make_recipe
from winninghand.results import (
    About,
    CellResult,
    Figures,
    OverSeeds,
    ResultsWriter,
    RunResult,
    ZooRecord,
    by_choice,
)
from winninghand.results.runs import Kind, MeasuredOn
from winninghand.results.zoo import Precision
from winninghand.studies.costs import with_costs
from winninghand.studies.deck_tasks import DeckTask
from winninghand.studies.deck_work import deck_path, is_measured, made_deck
from winninghand.studies.environment import ran_on
from winninghand.studies.graph import planned
from winninghand.studies.study import Study, ZooPlan
from winninghand.studies.sweeps import meets
from winninghand.studies.work import card_of
from winninghand.training.identity import data_digest


@dataclass(frozen=True)
class Model:
    """What is to be shipped: a card or a deck.

    `recipes` hold one recipe per card, one alone of a deck of one body. `runs` are, of a card, all that
    differ from it in their seed only; of a deck, those of its cards. `full` are its figures over all test
    images.
    """

    name: str
    player: Card | Deck
    full: RunResult
    recipes: tuple[dict[str, Any], ...]
    runs: tuple[RunResult, ...]


@dataclass(frozen=True)
class Publisher:
    """Writes the models of a finished study to a folder: `NAME.card` or `NAME.deck`, and `NAME.json`.

    Of runs that differ in their seed only, the card with the best validation accuracy is shipped. Mean
    corruption errors are relative to the dense network that stands first in the study. The study's own
    folder is `out`: what is measured here is added to its results, and is not measured again. With `trust`
    cards may be of networks of import paths, whose code is run.
    """

    study: Study
    images: ImageSet
    folder: Path
    out: Path
    announce: Callable[[str], None] = lambda _: None
    trust: bool = False

    def publish(self, runs: Sequence[RunResult]) -> tuple[ZooRecord, ...]:
        """Choose cards, fit decks, measure and write both; return their records.

        Raises `InputError` where the study has no `[zoo]` table, or no dense network among its cards.
        """
        runs = [run for run in runs if run.about.kind == "card"]
        models = (*self._cards(runs), *(self._deck(one, runs) for one in self._tasks.values()))
        dense = next((model for model in models if model.full.about.method == "dense"), None)
        if dense is None:
            raise InputError("the study has no dense network, which corruption errors are relative to")
        records = tuple(self._published(model, dense) for model in models)
        self._writer.compact()
        return records

    @property
    def _plan(self) -> ZooPlan:
        if self.study.zoo is None:
            raise InputError("the study has no [zoo] table, which says how its models are published")
        return self.study.zoo

    @cached_property
    def _writer(self) -> ResultsWriter:
        return ResultsWriter(self.out)

    @cached_property
    def _known(self) -> dict[tuple[str, str], RunResult]:
        return {(run.name, run.about.measured_on): run for run in self._writer.read()}

    def _cards(self, runs: Sequence[RunResult]) -> Iterator[Model]:
        shipped = [
            run for run in runs if not any(meets(run.about.choice, one) for one in self._plan.leave_out)
        ]
        for members in by_choice(shipped).values():
            best = _best(members)
            card, recipe = self._card(best), best.about.recipe or {}
            model = Model(self._name(recipe), card, best, (recipe,), tuple(members))
            yield replace(model, full=self._full(model))

    def _card(self, run: RunResult) -> Card:
        return load_card(card_of(self.out, run), trust=self.trust)

    def _name(self, recipe: dict[str, Any]) -> str:
        """Return a name such as `cifar10-lrr95-augmix`; networks other than the study's own are named too."""
        settings, network = recipe["compression"], make_recipe(recipe, known_network=False).network
        sparsity = f"{100 * settings['sparsity']:g}" if settings["method"] != "dense" else ""
        parts = [self.images.name, f"{settings['method']}{sparsity}", recipe["domain"]["name"]]
        own = make_recipe(self.study.recipe, known_network=False).network
        if network != own:
            # One from elsewhere has a colon in its name.
            parts += [re.sub(r"[^\w.-]+", "-", str(value)) for value in network.values()]
        return checked_name("-".join(parts))

    @cached_property
    def _tasks(self) -> dict[str, DeckTask]:
        """The study's decks that the zoo asks for, by name."""
        decks = {deck.name: deck for deck in planned(self.study, self.trust, yes=True).decks}
        return {name: decks[name] for name in self._plan.decks}

    def _deck(self, task: DeckTask, runs: Sequence[RunResult]) -> Model:
        """Open the deck that the study left, or make it again."""
        path, there = deck_path(self.out, task.name), {run.name: run for run in runs}
        known = self._known.get((task.name, "study"))
        if known is not None and path.is_file() and is_measured(task, known, self.study):
            opened = load(path, trust=self.trust)
            assert isinstance(opened, Deck)
            deck, names = opened, known.about.members
        else:
            self.announce(f"fitting {task.name}")
            deck, names = made_deck(task, self.images, self.out, self.trust)
        members = tuple(there[name] for name in names)
        recipes = tuple(run.about.recipe or {} for run in members)
        model = Model(task.name, deck, members[0], recipes, members)
        return replace(model, full=self._full(model))

    def _published(self, model: Model, dense: Model) -> ZooRecord:
        self.announce(f"publishing {model.name}")
        path = self.folder / f"{model.name}.{_kind(model)}"
        model.player.save(path)
        record = ZooRecord(
            name=model.name,
            kind=_kind(model),
            data=self._plan.data,
            bytes=path.stat().st_size,
            milliseconds=self._milliseconds(model.player),
            full=_figures(model.full, dense.full),
            reference=_figures(self._reference(model), self._reference(dense)),
            over_seeds=_over_seeds(model.runs) if _kind(model) == "card" else None,
            gate=model.player.gate,
            recipes=tuple(
                make_recipe(recipe, known_network=False).model_dump(mode="json", exclude_defaults=True)
                for recipe in model.recipes
            ),
        )
        with atomic_write(path.with_suffix(".json")) as tmp:
            tmp.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return record

    def _full(self, model: Model) -> RunResult:
        """Measure a model on all test images, on the best device, in the precision that is fastest there."""
        device = best_device()
        precision: Precision = "bf16-mixed" if bf16_pays(device) else "32-true"
        return self._measured(model, "all", replace(self.study.evaluation, limit=None), device, precision)

    def _reference(self, model: Model) -> RunResult:
        """Measure a model as anyone can reproduce it: on a sample, on a CPU, in full precision."""
        measurement = replace(self.study.evaluation, limit=self._plan.reference)
        return self._measured(model, "reference", measurement, torch.device("cpu"), "32-true")

    def _measured(
        self,
        model: Model,
        measured_on: MeasuredOn,
        measurement: Measurement,
        device: torch.device,
        precision: Precision,
    ) -> RunResult:
        """Return what is known of a model on these images, or measure it and add it to the results."""
        content = _content(model.player)
        about = About(
            run=model.name,
            kind=_kind(model),
            measured_on=measured_on,
            data=self.images.name,
            data_digest=data_digest(self.images),
            evaluation=measurement.to_json(),
            members=tuple(run.name for run in model.runs),
            gate=model.player.gate,
            recipe=model.recipes[0] if _kind(model) == "card" else None,
            digest=blake2b(content, digest_size=8).hexdigest(),
            bytes=len(content),
            parameters=sum(weight.numel() for weight in model.player.parameters()),
            **ran_on(device, precision),
        )
        known = self._known.get((model.name, measured_on))
        if known is not None and all(
            getattr(known.about, key) == getattr(about, key)
            for key in ("digest", "evaluation", "device", "precision", "members")
        ):
            return known
        title = f"measuring {model.name}"
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            cells = measurement.cells(model.player.to(device), self.images.test)
            found = [CellResult.of(cell) for cell in with_progress(cells, title, len(measurement), "cells")]
        result = RunResult.of(
            with_costs(about, model.player, self.images, self.study.evaluation.times), found
        )
        self._writer.add(result)
        self._known[model.name, measured_on] = result
        return result

    def _milliseconds(self, player: Card | Deck) -> float:
        batch = to_unit(torch.from_numpy(self.images.test.images[:64]))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return milliseconds_per_image(player, batch)
        finally:
            torch.set_num_threads(threads)


def _best(runs: Sequence[RunResult]) -> RunResult:
    """Return the run with the best validation accuracy, the first of equal ones."""
    return max(runs, key=lambda run: run.about.validation_accuracy or 0.0)


def _kind(model: Model) -> Kind:
    kind: Kind = model.player.kind
    return kind


def _content(player: Card | Deck) -> bytes:
    """Return the file that a model is saved as."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        player.save(path)
        return path.read_bytes()


def _figures(run: RunResult, dense: RunResult) -> Figures:
    return Figures.of(run, corruption_errors(run, dense).mean)


def _over_seeds(runs: Sequence[RunResult]) -> OverSeeds:
    return OverSeeds(
        images=runs[0].images,
        seeds=tuple(run.about.seed or 0 for run in runs),
        clean_accuracy=tuple(run.clean_accuracy for run in runs),
        robust_accuracy=tuple(run.robust_accuracy for run in runs),
    )

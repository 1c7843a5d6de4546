"""From a study's runs to the zoo: the card to ship of each choice, the decks, and their figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch

from winninghand.base.device import best_device
from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write
from winninghand.base.pixels import to_unit
from winninghand.cards import Card, load_card
from winninghand.decks import Deck, fit_gate
from winninghand.evaluation import RobustnessTable, corruption_errors, milliseconds_per_image
from winninghand.images import ImageSet
from winninghand.recipe import Recipe, make_recipe
from winninghand.studies.finished import Finished
from winninghand.studies.measuring import Measurements, Precision, content, fastest_precision
from winninghand.studies.study import DeckPlan, Study, ZooPlan
from winninghand.studies.summary import by_choice
from winninghand.studies.zoo_records import Figures, OverSeeds, ZooRecord


@dataclass(frozen=True)
class Model:
    """What is to be shipped: a card or a deck, and the runs that it stands for.

    `table` is over the images that the study measures every run on, `full` over all test images.
    """

    name: str
    player: Card | Deck
    table: RobustnessTable
    full: RobustnessTable
    runs: tuple[Finished, ...]

    @property
    def method(self) -> str:
        """The method that made the card; `deck` for a deck."""
        is_card = isinstance(self.player, Card)
        return self.runs[0].entry.recipe.compression.method if is_card else "deck"

    @property
    def bytes(self) -> int:
        """Size of the model's file."""
        return len(content(self.player))


@dataclass(frozen=True)
class Publisher:
    """Writes the models of a finished study to a folder: `NAME.card` or `NAME.deck`, and `NAME.json`.

    Of runs that differ in their seed only, the card with the best held-out accuracy is shipped.
    The dense network that stands first in the study is what mean corruption errors are relative to.
    What was measured is kept in the folder `kept`, so that a publication that was stopped goes on.
    """

    study: Study
    images: ImageSet
    folder: Path
    kept: Path
    announce: Callable[[str], None] = lambda _: None

    def models(self, runs: Sequence[Finished]) -> tuple[Model, ...]:
        """Choose cards, fit decks and measure both on all test images.

        Raises `InputError` where the study plans no zoo.
        """
        return (*self._cards(runs), *(self._deck(one, runs) for one in self._plan.decks))

    def publish(self, models: Sequence[Model]) -> tuple[ZooRecord, ...]:
        """Write the models and return their metadata; `InputError` where none of them is dense."""
        dense = next((model for model in models if model.method == "dense"), None)
        if dense is None:
            raise InputError("the study has no dense network, which corruption errors are relative to")
        reference = self._measurements.reference(dense.name, dense.player)
        return tuple(self._published(model, dense.full, reference) for model in models)

    @property
    def _plan(self) -> ZooPlan:
        if self.study.zoo is None:
            raise InputError("the study has no [zoo] table, which says how its models are published")
        return self.study.zoo

    @cached_property
    def _measurements(self) -> Measurements:
        return Measurements(self.study.evaluation, self._plan.reference, self.images.test, self.kept)

    def _cards(self, runs: Sequence[Finished]) -> Iterator[Model]:
        shipped = [run for run in runs if not any(run.entry.chose(one) for one in self._plan.leave_out)]
        for members in by_choice(shipped).values():
            best = max(members, key=lambda run: run.record.accuracies.get("validation", 0.0))
            name, card = self._name(best.entry.recipe), load_card(best.card)
            yield Model(name, card, best.table, self._measurements.full(name, card), tuple(members))

    def _name(self, recipe: Recipe) -> str:
        """Return a name such as `cifar10-lrr95-augmix`; networks other than the study's own are named too."""
        settings, own = recipe.compression, make_recipe(self.study.recipe).network
        sparsity = f"{100 * settings.sparsity:g}" if settings.method != "dense" else ""
        parts = [self.images.name, f"{settings.method}{sparsity}", recipe.domain["name"]]
        return "-".join(parts if recipe.network == own else [*parts, *map(str, recipe.network.values())])

    def _deck(self, plan: DeckPlan, runs: Sequence[Finished]) -> Model:
        members = [run for run in runs if run.entry.chose(plan.choice)]
        if not members:
            raise InputError(f"no run of the study fits the choice of the deck {plan.name!r}")
        self.announce(f"fitting {plan.name}")
        deck = Deck([load_card(run.card) for run in members], plan.gate)
        deck = fit_gate(deck.with_gate(plan.gate, **plan.settings), self.images.train)
        sampled = self._measurements.sampled(plan.name, deck)
        full = self._measurements.full(plan.name, deck)
        return Model(plan.name, deck, sampled, full, tuple(members))

    def _published(self, model: Model, dense: RobustnessTable, reference_dense: RobustnessTable) -> ZooRecord:
        self.announce(f"publishing {model.name}")
        kind: Literal["card", "deck"] = "card" if isinstance(model.player, Card) else "deck"
        path = self.folder / f"{model.name}.{kind}"
        model.player.save(path)
        recipes = [run.entry.recipe for run in model.runs]
        if isinstance(model.player, Card):
            recipes = [Recipe.model_validate(model.player.metadata.recipe)]
        reference = self._measurements.reference(model.name, model.player)
        metadata = ZooRecord(
            name=model.name,
            kind=kind,
            data=self._plan.data,
            bytes=path.stat().st_size,
            milliseconds=self._milliseconds(model.player),
            full=_figures(model.full, dense, fastest_precision(best_device())),
            reference=_figures(reference, reference_dense, "32-true"),
            over_seeds=_over_seeds(model.runs) if kind == "card" else None,
            gate=model.player.gate if isinstance(model.player, Deck) else None,
            recipes=tuple(recipe.model_dump(mode="json", exclude_defaults=True) for recipe in recipes),
        )
        with atomic_write(path.with_suffix(".json")) as tmp:
            tmp.write_text(metadata.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return metadata

    def _milliseconds(self, player: Card | Deck) -> float:
        batch = to_unit(torch.from_numpy(self.images.test.images[:64]))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return milliseconds_per_image(player, batch)
        finally:
            torch.set_num_threads(threads)


def _figures(table: RobustnessTable, dense: RobustnessTable, precision: Precision) -> Figures:
    return Figures.of(table, corruption_errors(table, dense).mean, precision)


def _over_seeds(runs: Sequence[Finished]) -> OverSeeds:
    return OverSeeds(
        images=len(runs[0].table.clean.correct),
        seeds=tuple(run.entry.recipe.seed for run in runs),
        clean_accuracy=tuple(run.table.clean_accuracy for run in runs),
        robust_accuracy=tuple(run.table.robust_accuracy for run in runs),
    )

"""From a study's runs to the zoo: the card to ship of each choice, the decks, and their figures."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from winninghand.augmentation.pixels import to_unit
from winninghand.cards import Card, load_card
from winninghand.decks import Deck, fit_gate
from winninghand.device import best_device, bf16_pays
from winninghand.errors import InputError
from winninghand.evaluation import RobustnessTable, corruption_errors, milliseconds_per_image, save_table
from winninghand.files import written_whole
from winninghand.images import ImageSet
from winninghand.recipe import Recipe, make_recipe
from winninghand.studies.measuring import Precision, kept_table, measure
from winninghand.studies.study import DeckPlan, Study, ZooPlan
from winninghand.studies.summary import by_choice
from winninghand.studies.work import Finished
from winninghand.studies.zoo_facts import Figures, OverSeeds, ZooFacts


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
        return len(_file(self.player))


@dataclass(frozen=True)
class Publisher:
    """Writes the models of a finished study to a folder: `NAME.card` or `NAME.deck`, and `NAME.json`.

    Of runs that differ in their seed only, the card with the best held-out accuracy is shipped.
    The dense network that stands first in the study is what mean corruption errors are relative to.
    What was measured is kept in the folder `measured`, so that a publication that was stopped goes on.
    """

    study: Study
    images: ImageSet
    folder: Path
    measured: Path
    announce: Callable[[str], None] = lambda _: None

    def models(self, runs: Sequence[Finished]) -> tuple[Model, ...]:
        """Choose cards, fit decks and measure both on all test images.

        Raises `InputError` where the study plans no zoo.
        """
        return (*self._cards(runs), *(self._deck(one, runs) for one in self._plan.decks))

    def publish(self, models: Sequence[Model]) -> tuple[ZooFacts, ...]:
        """Write the models and return their facts; `InputError` where none of them is dense."""
        dense = next((model for model in models if model.method == "dense"), None)
        if dense is None:
            raise InputError("the study has no dense network, which corruption errors are relative to")
        reference = self._reference(dense)
        return tuple(self._published(model, dense.full, reference) for model in models)

    @property
    def _plan(self) -> ZooPlan:
        if self.study.zoo is None:
            raise InputError("the study has no [zoo] table, which says how its models are published")
        return self.study.zoo

    def _cards(self, runs: Sequence[Finished]) -> Iterator[Model]:
        shipped = [run for run in runs if not any(run.entry.chose(one) for one in self._plan.leave_out)]
        for members in by_choice(shipped).values():
            cards = [load_card(run.card) for run in members]
            best = max(
                range(len(cards)), key=lambda place: cards[place].facts.accuracies.get("held_out", 0.0)
            )
            name = self._name(members[best].entry.recipe)
            full = self._full(name, cards[best])
            yield Model(name, cards[best], members[best].table, full, tuple(members))

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
        sampled = self._sampled(plan.name, deck)
        return Model(plan.name, deck, sampled, self._full(plan.name, deck), tuple(members))

    def _sampled(self, name: str, deck: Deck) -> RobustnessTable:
        """Measure a deck as the study measured its cards."""
        return self._measured(name, deck, self.study.evaluation.limit, best_device())

    def _full(self, name: str, player: Card | Deck) -> RobustnessTable:
        """Measure a model on all test images, on the device at hand and as fast as that can."""
        device = best_device()
        return self._measured(name, player, None, device, _fastest(device))

    def _reference(self, model: Model) -> RobustnessTable:
        """Measure a model as anyone can measure it again: on a sample, on the CPU."""
        return self._measured(model.name, model.player, self._plan.reference, torch.device("cpu"))

    def _measured(
        self,
        name: str,
        player: Card | Deck,
        limit: int | None,
        device: torch.device,
        precision: Precision = "32-true",
    ) -> RobustnessTable:
        settings = self.study.evaluation.model_copy(update={"limit": limit})
        path = self.measured / f"{name}-{limit or 'all'}-{device.type}-{precision}.npz"
        facts = {**settings.model_dump(mode="json"), "model": _fingerprint(player), "precision": precision}
        table = kept_table(path, facts)
        if table is None:
            table = measure(player, self.images.test, settings, device, name, precision)
            save_table(table, path, **facts)
        return table

    def _published(self, model: Model, dense: RobustnessTable, reference_dense: RobustnessTable) -> ZooFacts:
        self.announce(f"publishing {model.name}")
        kind: Literal["card", "deck"] = "card" if isinstance(model.player, Card) else "deck"
        path = self.folder / f"{model.name}.{kind}"
        model.player.save(path)
        recipes = [run.entry.recipe for run in model.runs]
        if isinstance(model.player, Card):
            recipes = [Recipe.model_validate(model.player.facts.recipe)]
        facts = ZooFacts(
            name=model.name,
            kind=kind,
            data=self._plan.data,
            bytes=path.stat().st_size,
            milliseconds=self._milliseconds(model.player),
            full=_figures(model.full, dense, _fastest(best_device())),
            reference=_figures(self._reference(model), reference_dense, "32-true"),
            over_seeds=_over_seeds(model.runs) if kind == "card" else None,
            gate=model.player.gate if isinstance(model.player, Deck) else None,
            recipes=tuple(recipe.model_dump(mode="json", exclude_defaults=True) for recipe in recipes),
        )
        with written_whole(path.with_suffix(".json")) as aside:
            aside.write_text(facts.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return facts

    def _milliseconds(self, player: Card | Deck) -> float:
        batch = to_unit(torch.from_numpy(self.images.test.images[:64]))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return milliseconds_per_image(player, batch)
        finally:
            torch.set_num_threads(threads)


def _file(player: Card | Deck) -> bytes:
    """Return the file that a model is saved as."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        player.save(path)
        return path.read_bytes()


def _fingerprint(player: Card | Deck) -> str:
    return hashlib.blake2b(_file(player), digest_size=8).hexdigest()


def _fastest(device: torch.device) -> Precision:
    return "bf16-mixed" if bf16_pays(device) else "32-true"


def _figures(table: RobustnessTable, dense: RobustnessTable, precision: Precision) -> Figures:
    return Figures.of(table, corruption_errors(table, dense).mean, precision)


def _over_seeds(runs: Sequence[Finished]) -> OverSeeds:
    return OverSeeds(
        images=len(runs[0].table.clean.correct),
        seeds=tuple(run.entry.recipe.seed for run in runs),
        clean_accuracy=tuple(run.table.clean_accuracy for run in runs),
        robust_accuracy=tuple(run.table.robust_accuracy for run in runs),
    )

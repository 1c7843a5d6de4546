"""The runs that claims compare: those of one recipe under several seeds are a group."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import counted
from winninghand.base.toml import dotted
from winninghand.results.claims.comparison import Comparison, Missing, Side
from winninghand.results.runs import RunResult

Values = Callable[[RunResult], npt.NDArray[np.float64]]

# So far may a sparsity lie from the one that is asked for.
_NEAR = 0.005
# What two runs have in common that differ in how they were compressed, for how long, and from which seed.
_PLACE = ("network", "domain", "quantization", "images")
# How sparsity is held where nothing is said of it.
_USUAL = {"scope": "global", "distribution": "uniform", "budget": "weights"}


@dataclass(frozen=True)
class Group:
    """Cards of one recipe that differ in their seed only.

    `apart` is what tells them from others of the same label, such as `training.epochs 72`.
    """

    runs: tuple[RunResult, ...]
    apart: tuple[str, ...] = ()

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe of the first seed."""
        return self.runs[0].about.recipe or {}

    @property
    def method(self) -> str:
        """The compression method."""
        return str(self.runs[0].about.method)

    @property
    def sparsity(self) -> float:
        """The sparsity that was asked for, 0 of a dense network."""
        return self.runs[0].about.sparsity or 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the runs."""
        return tuple(run.name for run in self.runs)

    @property
    def epochs(self) -> int | None:
        """How many epochs the recipe gives a phase, of a dense network the whole training."""
        epochs = self.recipe.get("training", {}).get("epochs")
        return epochs if isinstance(epochs, int) else None

    def dense_epochs(self, protocol: str) -> int | None:
        """Return how many epochs the dense network has that the cards are compared with under a protocol.

        A training of one phase is compared with one as long under all. None where no protocol is named.
        """
        known = self.runs[0].about.dense_epochs or {}
        return known.get(protocol, next(iter(known.values()), None))

    @cached_property
    def by_seed(self) -> dict[int, RunResult]:
        """The runs by the seed of their recipe."""
        return {int(run.about.seed or 0): run for run in self.runs}

    @property
    def width(self) -> float | None:
        """The network's width, None of one that has none."""
        width = self.recipe["network"].get("width")
        return float(width) if isinstance(width, int | float) else None

    @cached_property
    def place(self) -> str:
        """What a card shares with the dense network that it is compared with, as JSON."""
        return json.dumps([self.recipe.get(key) for key in _PLACE], sort_keys=True)

    @cached_property
    def kind_of_any_capacity(self) -> str:
        """What pruned networks share that differ in width and sparsity only, as JSON."""
        recipe = json.loads(self.without("network.width"))
        for key in ("sparsity", "milestones"):
            recipe["compression"].pop(key, None)
        return json.dumps(recipe, sort_keys=True)

    @cached_property
    def place_of_any_width(self) -> str:
        """The same without the network's width."""
        network, *rest = json.loads(self.place)
        network.pop("width", None)
        return json.dumps([network, *rest], sort_keys=True)

    @cached_property
    def place_of_any_bytes(self) -> str:
        """The same without width and quantization, which make a file as large as it is."""
        network, domain, _, images = json.loads(self.place_of_any_width)
        return json.dumps([network, domain, images], sort_keys=True)

    @property
    def weights(self) -> str:
        """How the card's weights are rounded, such as `fp16`; `none` where they are not."""
        return str(self.recipe.get("quantization", {}).get("weights", "none"))

    @property
    def label(self) -> str:
        """The group in a few words: `lrr at 95% layerwise erk, resnet18 of width 32, clean`."""
        network = self.recipe["network"]
        width = f" of width {network['width']}" if "width" in network else ""
        words = [self.method]
        if self.method != "dense":
            words.append(f"at {100 * self.sparsity:g}%")
            settings = self.recipe["compression"]
            words += [settings[key] for key, usual in _USUAL.items() if settings.get(key, usual) != usual]
        place = f"{network['name']}{width}", self.recipe["domain"]["name"]
        return ", ".join((" ".join(words), *place, *self.apart))

    def without(self, key: str) -> str:
        """Return the recipe as JSON without its seed and what stands under a dotted key."""
        table, _, inner = key.partition(".")
        recipe = {name: one for name, one in self.recipe.items() if name != "seed"}
        if inner and table in recipe:
            recipe[table] = {name: one for name, one in recipe[table].items() if name != inner}
        elif not inner:
            recipe.pop(table, None)
        return json.dumps(recipe, sort_keys=True)


@dataclass(frozen=True)
class Groups:
    """What a study has under one protocol: groups of cards, dense networks among them, and decks."""

    cards: tuple[Group, ...]
    decks: tuple[RunResult, ...]
    protocol: str

    @classmethod
    def of(cls, runs: Iterable[RunResult], protocol: str) -> Self:
        """Return the groups of one protocol; trainings that name none count under all of them."""
        runs = tuple(runs)
        found: dict[str, list[RunResult]] = defaultdict(list)
        for run in runs:
            if run.about.kind == "card" and run.about.protocol in (None, protocol):
                found[Group((run,)).without("seed")].append(run)
        own = {run.name for members in found.values() for run in members}
        decks = (run for run in runs if run.about.kind == "deck" and own.issuperset(run.about.members))
        cards = _told_apart(Group(tuple(members)) for members in found.values())
        return cls(tuple(cards), tuple(decks), protocol)

    def chosen(self, method: str | None = None, sparsity: float | None = None) -> list[Group]:
        """Return the pruned groups of a method and a sparsity, all of them where none is given."""
        return [
            group
            for group in self.cards
            if group.method != "dense"
            and (method is None or group.method == method)
            and (sparsity is None or abs(group.sparsity - sparsity) <= _NEAR)
        ]

    def dense_of(self, card: Group) -> Group | None:
        """Return the dense networks of a card's network, domain and quantization, as long as asked.

        Of several those whose training had most settings in common with the card's. Where the study names no
        protocol, any length will do.
        """
        return self._nearest(card, [one for one in self.dense if one.place == card.place])

    def dense_of_any_width(self, card: Group) -> list[Group]:
        """Return the dense networks like that of `dense_of`, one of each width."""
        found: dict[str, list[Group]] = defaultdict(list)
        for one in self.dense:
            if one.place_of_any_width == card.place_of_any_width:
                found[one.place].append(one)
        nearest = [self._nearest(card, several) for several in found.values()]
        return [one for one in nearest if one is not None]

    def _nearest(self, card: Group, dense: Iterable[Group]) -> Group | None:
        """Return the dense network that trained as long as asked, most like a card."""
        wanted = card.dense_epochs(self.protocol)
        found = [one for one in dense if wanted in (None, one.epochs)]
        return min(found, key=lambda one: _apart(one.recipe, card.recipe), default=None)

    def twins(self, card: Group, key: str) -> list[Group]:
        """Return the other groups whose recipes differ from a card's in the value of one dotted key only."""
        if key not in self._alike:
            alike = self._alike[key] = defaultdict(list)
            for one in self.cards:
                alike[one.without(key)].append(one)
        return [one for one in self._alike[key][card.without(key)] if one is not card]

    @cached_property
    def dense(self) -> tuple[Group, ...]:
        """The dense networks."""
        return tuple(one for one in self.cards if one.method == "dense")

    @cached_property
    def _alike(self) -> dict[str, dict[str, list[Group]]]:
        """Groups by a dotted key and what their recipes hold without it; made as they are asked for."""
        return {}

    def against_dense(self, card: Group, values: Values, side: Side, value: float) -> Comparison | Missing:
        """Compare a card with its dense network."""
        dense = self.dense_of(card)
        if dense is None:
            wanted = card.dense_epochs(self.protocol)
            long = "" if wanted is None else f" of {counted(wanted, 'epoch')}"
            return Missing(f"a dense network{long} to compare with {card.label}")
        return compared(card.label, [(1.0, card), (-1.0, dense)], values, side, value)


def compared(
    label: str, terms: Sequence[tuple[float, Group]], values: Values, side: Side = "above", value: float = 0.0
) -> Comparison | Missing:
    """Return the comparison of a weighted sum of groups, paired by the seeds that all of them have."""
    if not all(run.cells for _, group in terms for run in group.runs):
        return Missing(f"corrupted images, for {label}")
    seeds = sorted(set.intersection(*(set(group.by_seed) for _, group in terms)))
    if not seeds:
        return Missing(f"a seed in common, for {label}")
    rows = [sum(weight * values(group.by_seed[seed]) for weight, group in terms) for seed in seeds]
    added = tuple(group.by_seed[seed].name for weight, group in terms if weight > 0 for seed in seeds)
    subtracted = tuple(group.by_seed[seed].name for weight, group in terms if weight < 0 for seed in seeds)
    return Comparison(label, np.stack(rows), added, subtracted, side, value)


def robust(run: RunResult) -> npt.NDArray[np.float64]:
    """Return per image the fraction of the corrupted cells that was answered rightly."""
    return run.robust_correct


def _told_apart(groups: Iterable[Group]) -> Iterator[Group]:
    """Yield groups, those of one label with the settings in which they differ."""
    alike: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        alike[group.label].append(group)
    for several in alike.values():
        recipes = [dotted(group.recipe) for group in several]
        keys = dict.fromkeys(key for recipe in recipes for key in recipe if key != "seed")
        apart = [key for key in keys if any(one.get(key) != recipes[0].get(key) for one in recipes)]
        for group, recipe in zip(several, recipes, strict=True):
            yield replace(group, apart=tuple(f"{key} {recipe[key]}" for key in apart if key in recipe))


def _apart(one: dict[str, Any], other: dict[str, Any]) -> int:
    """Return in how many settings two trainings differ, the number of epochs aside."""
    first, second = one.get("training", {}), other.get("training", {})
    return sum(first.get(key) != second.get(key) for key in (first.keys() | second.keys()) - {"epochs"})

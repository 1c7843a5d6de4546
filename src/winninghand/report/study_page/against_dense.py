"""Which dense networks cards and decks are compared with, and by how much they are above or below them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from winninghand.evaluation import CLEAN, Interval
from winninghand.report.study_page.decks import common_place
from winninghand.report.study_page.figure import (
    ALONE,
    MEAN,
    Column,
    Figure,
    Row,
    interval,
    number,
    percent,
    points,
    words,
)
from winninghand.report.study_page.shown import Shown
from winninghand.results import Results, RunResult
from winninghand.results.claims.statistics import Effect

_Pairs = Sequence[tuple[RunResult, Sequence[RunResult]]]


@dataclass(frozen=True)
class Difference:
    """By how much a card's accuracies exceed those of a dense network, with intervals over seeds and images.

    `seeds` is how many both have; of a single one the intervals are over images alone. `robust` is None where
    one of the two was measured on clean images only.
    """

    protocol: str | None
    dense: Shown
    seeds: int
    clean: Interval
    robust: Interval | None


def dense_of(card: Shown, cards: Sequence[Shown], protocol: str | None = None) -> Shown | None:
    """Return the dense network that a card is compared with, over the same seeds.

    It has the card's network and seed, and its domain where there is such a one, otherwise `clean`; of
    several the one that trained for as long as the card asks for under a protocol, by default its first, and
    whose weights are rounded as the card's are.
    """
    if card.place.method == "dense":
        return None
    same = [
        one
        for one in cards
        if one.place.method == "dense"
        and (one.place.network, one.seed) == (card.place.network, card.seed)
        and one.place.domain in (card.place.domain, CLEAN)
    ]
    return max(
        same,
        key=lambda one: (
            one.place.domain == card.place.domain,
            _is_as_long(one, card, protocol),
            _setting(one, "quantization") == _setting(card, "quantization"),
        ),
        default=None,
    )


def dense_networks_of(card: Shown, cards: Sequence[Shown]) -> list[tuple[str | None, Shown]]:
    """Return the dense network that a card is compared with under each protocol for which there is one.

    Of a card that names no protocol that is one network, under None.
    """
    protocols: list[str | None] = [*(card.runs[0].about.dense_epochs or {})]
    found = [(protocol, dense_of(card, cards, protocol)) for protocol in protocols or [None]]
    return [
        (protocol, dense)
        for protocol, dense in found
        if dense is not None and _is_as_long(dense, card, protocol)
    ]


def differences_of(card: Shown, cards: Sequence[Shown]) -> list[Difference]:
    """Return how far a card is from its dense network under each protocol, over the seeds that both have."""
    found = []
    for protocol, dense in dense_networks_of(card, cards):
        both = of_common_seeds(card, dense)
        pairs = [(one, [other]) for one, other in zip(*(shown.runs for shown in both), strict=True)]
        runs = [run for one, others in pairs for run in (one, *others)]
        if len({run.images for run in runs}) != 1:
            continue
        clean = _effect(pairs, lambda run: run.clean.correct)
        robust = _effect(pairs, lambda run: run.robust_correct) if all(run.cells for run in runs) else None
        found.append(Difference(protocol, dense, len(pairs), clean, robust))
    return found


def of_common_seeds(card: Shown, dense: Shown) -> tuple[Shown, Shown]:
    """Return a card and a dense network of the seeds that both have, in the card's order."""
    theirs = {run.about.seed: run for run in dense.runs}
    runs = tuple(run for run in card.runs if run.about.seed in theirs)
    return replace(card, runs=runs), replace(dense, runs=tuple(theirs[run.about.seed] for run in runs))


def _is_as_long(dense: Shown, card: Shown, protocol: str | None) -> bool:
    """Say whether a dense network trained for as long as a card asks for; those that ask nothing take any."""
    asked = card.runs[0].about.dense_epochs or {}
    trained = _setting(dense, "training").get("epochs")
    return not asked or asked.get(protocol or next(iter(asked))) == trained


def _setting(card: Shown, table: str) -> Mapping[str, Any]:
    """Return a table of a card's recipe, empty where that is not known."""
    found: Mapping[str, Any] = (card.runs[0].about.recipe or {}).get(table) or {}
    return found


def difference_figure(cards: Sequence[Shown]) -> Figure | None:
    """Return how far each card is from its dense network, clean and robust; None where there is no pair.

    A card that counts under two protocols is compared under each of them.
    """
    rows = [_difference_row(card, found) for card in cards for found in differences_of(card, cards)]
    if not rows:
        return None
    several = [key for key in ("network", "protocol") if len({row[key] for row in rows}) > 1]
    columns = [
        words("card", "series"),
        *(words(key, key) for key in ("domain", *several)),
        percent("sparsity", "sparsity", 1),
        *_difference_columns(),
        words("seed", "seed"),
        number("seeds", "seeds"),
    ]
    return Figure(
        "against-dense",
        "Cards, against the dense network",
        "By how many points a card's accuracy exceeds that of the dense network of the same kind, trained "
        "for as long as the protocol says, under the same domain where there is such a one, otherwise under "
        "clean. Seeds and images are paired, and intervals are over both; of one seed over images alone.",
        columns,
        rows,
    )


def deck_difference_figure(results: Results, cards: Sequence[Shown]) -> Figure | None:
    """Return how far each kind of deck is from each dense network of its seeds; None where there is no pair.

    Decks whose names differ in their seed only are of one kind.
    """
    singles = {card.runs[0].name: card for card in cards if len(card.runs) == 1}
    kinds: dict[str, list[tuple[RunResult, list[Shown]]]] = defaultdict(list)
    for deck in results.decks:
        members = [singles[name] for name in deck.about.members if name in singles]
        if deck.cells and members:
            kinds[_kind(deck, members)].append((deck, members))
    dense = [card for card in cards if card.place.method == "dense" and card.seed == MEAN]
    rows = [
        row for kind, decks in kinds.items() for one in dense for row in _deck_differences(kind, decks, one)
    ]
    if not rows:
        return None
    columns = [
        words("deck", "deck"),
        *_difference_columns(),
        percent("its bytes, of the dense network's", "share", 1),
        words("seed", "seed"),
        number("decks", "decks"),
    ]
    return Figure(
        "decks-against-dense",
        "Decks, against dense networks",
        "By how many points a deck's accuracy exceeds that of a dense network of the same kind and seed; of "
        "several seeds in one deck, the mean of their dense networks. Decks and images are paired, and "
        "intervals are over both; of one deck over images alone.",
        columns,
        rows,
    )


def _kind(deck: RunResult, members: Sequence[Shown]) -> str:
    """Return a deck's name without the seed that all its cards have: of `pair-0-average` `pair-average`."""
    seeds = {card.seed for card in members}
    if len(seeds) > 1:
        return deck.name
    average = "-average" if deck.name.endswith("-average") else ""
    return deck.name.removesuffix(average).removesuffix(f"-{seeds.pop()}") + average


def _deck_differences(
    kind: str, decks: Sequence[tuple[RunResult, list[Shown]]], dense: Shown
) -> Iterator[Row]:
    """Return a row for all decks of a kind and, where these are several, one for each."""
    theirs = {str(run.about.seed): run for run in dense.runs if run.cells}
    pairs, whole = [], []
    for deck, members in decks:
        networks, seeds = {card.place.network for card in members}, {card.seed for card in members}
        others = [theirs[seed] for seed in sorted(seeds & theirs.keys())]
        if networks != {dense.place.network} or len(others) < len(seeds):
            continue
        if {run.images for run in others} != {deck.images}:
            continue
        pairs.append((deck, others))
        whole.append(members)
    if len({deck.images for deck, _ in pairs}) != 1:
        return
    several = len(pairs) > 1
    everyone = common_place([card for members in whole for card in members])
    mean = {"seed": MEAN, ALONE: False} if several else {}
    yield {**everyone, **mean, **_deck_row(kind if several else pairs[0][0].name, pairs, dense)}
    if several:
        for pair, members in zip(pairs, whole, strict=True):
            yield {**common_place(members), ALONE: False, **_deck_row(pair[0].name, [pair], dense)}


def _deck_row(name: str, pairs: _Pairs, dense: Shown) -> Row:
    sizes = [deck.about.bytes or np.nan for deck, _ in pairs]
    others = [run.about.bytes or np.nan for _, networks in pairs for run in networks]
    return {
        "series": "deck",
        "label": name,
        "deck": name,
        "dense": dense.place.label,
        **_interval_row("clean", _effect(pairs, lambda run: run.clean.correct)),
        **_interval_row("robust", _effect(pairs, lambda run: run.robust_correct)),
        "share": float(np.mean(sizes) / np.mean(others)),
        "decks": len(pairs),
    }


def _difference_columns() -> list[Column]:
    return [
        words("against", "dense"),
        points("clean", "clean"),
        interval("95% interval, clean", "clean", signed=True),
        points("robust", "robust"),
        interval("95% interval, robust", "robust", signed=True),
    ]


def _difference_row(card: Shown, found: Difference) -> Row:
    values = _interval_row("clean", found.clean)
    if found.robust is not None:
        values |= _interval_row("robust", found.robust)
    place = {"protocol": found.protocol or card.place.protocol, "dense": found.dense.place.label}
    return card.row(**values) | place | {"seeds": found.seeds}


def _effect(
    pairs: _Pairs, answers: Callable[[RunResult], npt.NDArray[np.bool_] | npt.NDArray[np.float64]]
) -> Interval:
    """Return how far runs are above the mean of others, on average, with an interval over both."""
    rows = [answers(one) - np.mean([answers(other) for other in others], axis=0) for one, others in pairs]
    effect = Effect.of(np.stack(rows))
    return Interval(effect.mean, *effect.interval())


def _interval_row(name: str, found: Interval) -> dict[str, float]:
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}

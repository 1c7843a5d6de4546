"""Which dense network a card is compared with, and by how much it is above or below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from winninghand.evaluation.table import CLEAN
from winninghand.report.study_page.figure import Figure, Row, interval, number, percent, points, words
from winninghand.report.study_page.shown import Shown
from winninghand.results import RunResult
from winninghand.results.claims.statistics import Effect


def dense_of(card: Shown, cards: Sequence[Shown], protocol: str | None = None) -> Shown | None:
    """Return the dense network that a card is compared with, over the same seeds.

    It has the card's network and seed, and its domain where there is such a one, otherwise `clean`; of
    several the one that trained for as long as the card asks for under a protocol, by default its first.
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
        key=lambda one: (one.place.domain == card.place.domain, _is_as_long(one, card, protocol)),
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


def _is_as_long(dense: Shown, card: Shown, protocol: str | None) -> bool:
    """Say whether a dense network trained for as long as a card asks for; those that ask nothing take any."""
    asked = card.runs[0].about.dense_epochs or {}
    trained = (dense.runs[0].about.recipe or {}).get("training", {}).get("epochs")
    return not asked or asked.get(protocol or next(iter(asked))) == trained


def difference_figure(cards: Sequence[Shown]) -> Figure | None:
    """Return how far each card is from its dense network, clean and robust; None where there is no pair.

    A card that counts under two protocols is compared under each of them.
    """
    rows = [row for card in cards for row in _differences(card, cards)]
    if not rows:
        return None
    several = [key for key in ("network", "protocol") if len({row[key] for row in rows}) > 1]
    columns = [
        words("card", "series"),
        *(words(key, key) for key in ("domain", *several)),
        percent("sparsity", "sparsity", 1),
        words("against", "dense"),
        points("clean", "clean"),
        interval("95% interval, clean", "clean", signed=True),
        points("robust", "robust"),
        interval("95% interval, robust", "robust", signed=True),
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


def _differences(card: Shown, cards: Sequence[Shown]) -> Iterator[Row]:
    for protocol, dense in dense_networks_of(card, cards):
        theirs = {run.about.seed: run for run in dense.runs}
        pairs = [(run, theirs[run.about.seed]) for run in card.runs if run.about.seed in theirs]
        if len({run.images for pair in pairs for run in pair}) != 1:
            continue
        values = _effect("clean", pairs, lambda run: run.clean.correct)
        if all(run.cells for pair in pairs for run in pair):
            values |= _effect("robust", pairs, lambda run: run.robust_correct)
        place = {"protocol": protocol or card.place.protocol, "dense": dense.place.label}
        yield card.row(**values) | place | {"seeds": len(pairs)}


def _effect(
    name: str,
    pairs: Sequence[tuple[RunResult, RunResult]],
    answers: Callable[[RunResult], npt.NDArray[np.bool_] | npt.NDArray[np.float64]],
) -> dict[str, float]:
    """Return the mean difference of pairs and its interval, over seeds and images."""
    rows = [answers(one).astype(np.float64) - answers(other) for one, other in pairs]
    effect = Effect.of(np.stack(rows))
    low, high = effect.interval()
    return {name: effect.mean, f"{name}_low": low, f"{name}_high": high}

"""The study of gates: decks of the same cards under every gate, from answers that each card gives once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.cards import Card
from winninghand.decks.deck import Deck
from winninghand.decks.fitting import fitted, with_fitted_confidence
from winninghand.decks.fitting_data import CLEAN, FittingData
from winninghand.evaluation import Interval, paired_difference

Order = Literal["one cell", "mixed", "cell after cell"]
_MIXING_SEED = 0

# Decks whose gate does not look at batches are played in batches of this size.
_ANY_SIZE = 256


@dataclass(frozen=True)
class Batches:
    """How images arrive.

    Batches of `one cell` hold images under one corruption and severity, and the gate forgets
    between cells; `cell after cell` is the same as one stream; `mixed` shuffles all cells.
    """

    order: Order
    size: int


@dataclass(frozen=True)
class Played:
    """Per condition and image, whether a deck was right, bool (S, M), and its weights (S, M, K)."""

    correct: Tensor
    weights: Tensor


def play(deck: Deck, answers: FittingData, batches: Batches) -> Played:
    """Play a deck on what its cards answered."""
    conditions, images = answers.spectra.shape[:2]
    order = torch.arange(conditions * images)
    if batches.order == "mixed":
        order = order[torch.randperm(len(order), generator=torch.Generator().manual_seed(_MIXING_SEED))]
    seen = answers.seen_by(deck.gate).flatten(0, 1)
    weights = torch.empty(len(order), len(deck.cards))
    size = batches.size if deck.batch_matters else _ANY_SIZE
    whole = images if batches.order != "mixed" else len(order)
    deck.reset()
    for begin in range(0, len(order), whole):
        if batches.order == "one cell":
            deck.reset()
        for start in range(begin, begin + whole, size):
            some = order[start : min(start + size, begin + whole)]
            weights[some] = deck.weigh(seen[some])
    mixed = deck.mixed(answers.logits.flatten(1, 2), weights)
    correct = mixed.argmax(dim=1).unflatten(0, (conditions, images)) == answers.labels
    return Played(correct, weights.unflatten(0, (conditions, images)))


@dataclass(frozen=True)
class Row:
    """One player under one way for images to arrive.

    Accuracies are fractions; `passes` and `bytes` are means per image over the corrupted cells;
    `gain` is the robust accuracy less that of the average of all cards, paired by image; `closed`
    is the share of the way from that average to the oracle. `gap` is by how much the best card of each
    cell, chosen by these very images, exceeds the player.
    """

    player: str
    batches: Batches
    clean: float
    robust: float
    passes: float
    bytes: float
    gain: Interval
    closed: float
    gap: Interval

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        intervals = {"gain": vars(self.gain), "gap": vars(self.gap)}
        return {**vars(self), "batches": vars(self.batches), **intervals}


class GateStudy:
    """Players compared over the same answers.

    The oracle takes in each cell the best of the single cards and their plain average, chosen by
    the very images it is measured on: it is a little better than any rule could be.
    """

    def __init__(self, deck: Deck, answers: FittingData, sizes: Sequence[int]) -> None:
        self.answers = answers
        self._corrupted = [place for place, cell in enumerate(answers.conditions) if cell != CLEAN]
        self._clean = answers.conditions.index(CLEAN)
        self._sizes = torch.tensor(sizes, dtype=torch.float64)
        self._average = play(Deck(deck.cards, "average"), answers, Batches("one cell", _ANY_SIZE)).correct
        choices = torch.cat([answers.correct, self._average[None]])
        best = choices.float().mean(dim=2).argmax(dim=0)
        every = torch.arange(len(answers.conditions))
        self._oracle = choices[best, every]
        self._best_cards = answers.correct[answers.correct.float().mean(dim=2).argmax(dim=0), every]

    @property
    def oracle(self) -> Interval:
        """By how much the oracle exceeds the average of all cards in robust accuracy."""
        return paired_difference(self._per_image(self._oracle), self._per_image(self._average))

    @property
    def oracle_accuracy(self) -> float:
        """Robust accuracy of the oracle."""
        return float(self._per_image(self._oracle).mean())

    def row(self, name: str, played: Played, batches: Batches) -> Row:
        """Return the figures of one player."""
        gain = paired_difference(self._per_image(played.correct), self._per_image(self._average))
        active = played.weights[self._corrupted] > 0
        return Row(
            name,
            batches,
            float(played.correct[self._clean].float().mean()),
            float(self._per_image(played.correct).mean()),
            float(active.sum(dim=2).float().mean()),
            float((active.double() @ self._sizes).mean()),
            gain,
            gain.mean / self.oracle.mean if self.oracle.mean else float("nan"),
            paired_difference(self._per_image(self._best_cards), self._per_image(played.correct)),
        )

    def single(
        self, card: int, name: str, correct: Tensor | None = None, batches: Batches | None = None
    ) -> Row:
        """Return the figures of one card, played on every image.

        `correct` (S, M) says where it is right, if not as in the answers, when images come as in `batches`.
        """
        weights = torch.zeros(*self.answers.spectra.shape[:2], len(self._sizes))
        weights[..., card] = 1
        right = self.answers.correct[card] if correct is None else correct
        return self.row(name, Played(right, weights), batches or Batches("one cell", _ANY_SIZE))

    def shares(self, played: Played, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the mean weight of each card in each condition, one row of plain values each."""
        means = played.weights.mean(dim=1)
        return [
            {"corruption": corruption, "severity": severity, "card": name, "weight": float(weight)}
            for (corruption, severity), row in zip(self.answers.conditions, means, strict=True)
            for name, weight in zip(names, row, strict=True)
        ]

    def _per_image(self, correct: Tensor) -> npt.NDArray[np.float64]:
        values: npt.NDArray[np.float64] = correct[self._corrupted].double().mean(dim=0).numpy()
        return values


def players(cards: Sequence[Card], data: FittingData, most: int) -> Mapping[str, Deck]:
    """Return the decks to compare: every gate as it stands, and fitted on `data`; every reading of the paper.

    At most `most` cards are active under each gate but the average.
    """
    decks = {
        "average": Deck(cards, "average"),
        "average, calibrated": fitted(Deck(cards, "average"), data),
    }
    for amplitude, distance in product(("log", "linear"), ("l2", "l1", "cosine")):
        decks[f"spectral, {amplitude} {distance}"] = Deck(
            cards, "spectral", max_active=most, amplitude=amplitude, distance=distance
        )
    for gate in ("spectral_image", "stream", "weighted"):
        decks[gate] = Deck(cards, gate, max_active=most)
    for gate in ("spectral", "spectral_image", "stream", "weighted", "features"):
        decks[f"{gate}, fitted"] = fitted(Deck(cards, gate, max_active=most), data)
    for gate in ("weighted", "features"):
        deck = Deck(cards, gate, max_active=most)
        decks[f"{gate}, fitted, with fallback"] = with_fitted_confidence(deck, data)
    decks["weighted, fitted, 1 card"] = fitted(Deck(cards, "weighted", max_active=1), data)
    decks["weighted, fitted, all cards"] = fitted(Deck(cards, "weighted"), data)
    return decks


def rows(
    study: GateStudy, cards: Sequence[Card], data: FittingData, names: Sequence[str], most: int
) -> list[Row]:
    """Return all rows: single cards, then every player for every way that makes a difference to it."""
    found = [study.single(number, name) for number, name in enumerate(names)]
    found += [
        study.row(name, play(player, study.answers, batches), batches)
        for name, player in players(cards, data, most).items()
        for batches in _ways(player)
    ]
    return found


def _ways(deck: Deck) -> list[Batches]:
    if deck.batch_matters:
        return [Batches(order, size) for order in ("one cell", "mixed") for size in (1, 16, 256)]
    if deck.gate == "stream":
        return [Batches(order, 1) for order in ("one cell", "cell after cell", "mixed")]
    return [Batches("one cell", _ANY_SIZE)]

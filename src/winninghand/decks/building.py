"""Building a deck of some cards: choosing among them, fitting, and what is to be told of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from winninghand.cards import Card
from winninghand.decks.answers import Answers, collect
from winninghand.decks.deck import Deck, check_cards
from winninghand.decks.fitting import LIMIT, fit_temperatures, fitted, fitting_conditions, fitting_images
from winninghand.decks.gate import GateSettings
from winninghand.decks.selection import Step, select
from winninghand.images import Split


@dataclass(frozen=True)
class Built:
    """A deck that was chosen and fitted.

    `numbers` are its cards among those given, from 0; `steps` how they were chosen, empty where
    all were taken. `answers` are those of its cards; `unseen` says whether none of them was trained
    on these images. `checked_temperatures` were fitted on the even images of `answers` only, so
    that calibration can be measured on the odd ones.
    """

    deck: Deck
    numbers: tuple[int, ...]
    steps: tuple[Step, ...]
    answers: Answers
    unseen: bool
    checked_temperatures: tuple[float, ...]


@dataclass(frozen=True)
class Budget:
    """At most `total` bytes for cards of `sizes` bytes."""

    total: int
    sizes: Sequence[int]


def build(
    cards: Sequence[Card],
    split: Split,
    gate: str,
    settings: GateSettings,
    budget: Budget | None = None,
    limit: int = LIMIT,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Built:
    """Return a deck fitted on training images, of all cards or of those that a budget allows.

    See `fit_gate` for the images and `select` for the choice.
    """
    check_cards(cards)
    images = fitting_images(cards, split, limit, seed)
    answers = collect(cards, split, images.indices, fitting_conditions(), seed, progress)
    steps = () if budget is None else select(cards, budget.sizes, answers, gate, settings, budget.total)
    numbers = tuple(step.card for step in steps) or tuple(range(len(cards)))
    chosen = answers.of_cards(numbers)
    deck = fitted(Deck([cards[number] for number in numbers], gate, settings), chosen)
    return Built(deck, numbers, steps, chosen, images.unseen, fit_temperatures(chosen.of_images(0)))

"""Building a deck: choosing some of many cards within a limit of bytes, and fitting it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.cards.opening import CardLike, opened
from winninghand.decks.deck import Deck, check_cards
from winninghand.decks.fitting import (
    LIMIT,
    check_confidence,
    corrupted_accuracy,
    fit_temperatures,
    fitted,
    fitting_conditions,
    fitting_images,
    with_fitted_confidence,
)
from winninghand.decks.fitting_data import FittingData, collect
from winninghand.decks.gate import GATES, GateSettings
from winninghand.images import Split

# What a deck's file holds besides its cards' files, with room to spare.
_BYTES_OF_THE_GATE = 4096


@dataclass(frozen=True)
class SizeLimit:
    """A deck's file may have `total` bytes; `sizes` are the bytes of each card's own file.

    Raises `InputError` where not one card fits.
    """

    total: int
    sizes: Sequence[int]

    def __post_init__(self) -> None:
        least = min(self.sizes) + _BYTES_OF_THE_GATE
        if least > self.total:
            raise InputError(
                f"a deck of the smallest card may have {least:,} bytes; give a larger budget than "
                f"{self.total:,}"
            )


@dataclass(frozen=True)
class Step:
    """One step of the choice: the card added, by its number from 0, and what the deck is like with it.

    `bytes` is an upper bound of the size of the deck's file. `accuracy` is the deck's on images that
    it was not fitted on, averaged over the corruptions.
    """

    card: int
    bytes: int
    accuracy: float


@dataclass(frozen=True)
class Built:
    """A deck that was chosen and fitted.

    `numbers` are its cards among those given, from 0; `steps` how they were chosen, empty where
    all were taken. `data` is what it was fitted on; `unseen` says whether none of its cards was
    trained on these images. `checked_temperatures` were fitted on the even images of `data` only,
    so that calibration can be measured on the odd ones.
    """

    deck: Deck
    numbers: tuple[int, ...]
    steps: tuple[Step, ...]
    data: FittingData
    unseen: bool
    checked_temperatures: tuple[float, ...]


def build(
    cards: Sequence[CardLike],
    split: Split,
    gate: str,
    settings: GateSettings,
    size_limit: SizeLimit | None = None,
    limit: int = LIMIT,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
    fallback: bool = False,
) -> Built:
    """Return a deck fitted on training images, of all cards or of those that a size limit allows.

    See `fit_gate` for the images and for `fallback`, and `select` for the choice.
    """
    cards = opened(cards)
    check_cards(cards)
    if fallback:
        check_confidence(gate)
    images = fitting_images(cards, split, limit, seed)
    data = collect(cards, split, images.indices, fitting_conditions(), seed, progress)
    steps = () if size_limit is None else select(cards, data, gate, settings, size_limit, fallback)
    numbers = tuple(step.card for step in steps) or tuple(range(len(cards)))
    chosen = data.of_cards(numbers)
    deck = _fit(fallback)(Deck.provisional([cards[number] for number in numbers], gate, settings), chosen)
    return Built(deck, numbers, steps, chosen, images.unseen, fit_temperatures(chosen.of_images(0)))


def select(
    cards: Sequence[Card],
    data: FittingData,
    gate: str,
    settings: GateSettings,
    size_limit: SizeLimit,
    fallback: bool = False,
) -> tuple[Step, ...]:
    """Return the steps of greedy forward selection, each the card that helps the deck most.

    The deck is fitted on one half of the images, with `fallback` its gate's `confidence`, too, and measured
    on the other. The choice ends when no
    card that fits into the limit helps.
    """
    sizes, total = size_limit.sizes, size_limit.total
    steps: list[Step] = []
    fit = _fit(fallback)
    while True:
        chosen = [step.card for step in steps]
        used = sum(sizes[number] for number in chosen) + _BYTES_OF_THE_GATE
        affordable = [
            number for number in range(len(cards)) if number not in chosen and used + sizes[number] <= total
        ]
        if not affordable or _full(gate, settings, len(chosen)):
            break
        tried = []
        for number in affordable:
            hand = [*chosen, number]
            deck, halves = Deck.provisional([cards[one] for one in hand], gate, settings), data.of_cards(hand)
            accuracy = corrupted_accuracy(fit(deck, halves.of_images(0)), halves.of_images(1))
            tried.append(Step(number, used + sizes[number], accuracy))
        best = max(tried, key=lambda step: step.accuracy)
        if steps and best.accuracy <= steps[-1].accuracy:
            break
        steps.append(best)
    return tuple(steps)


def _full(gate: str, settings: GateSettings, cards: int) -> bool:
    """Tell whether a gate that plays all cards has as many as it may play."""
    most = settings.max_active
    return GATES[gate].inputs is None and most is not None and cards >= most


def _fit(fallback: bool) -> Callable[[Deck, FittingData], Deck]:
    return with_fitted_confidence if fallback else fitted

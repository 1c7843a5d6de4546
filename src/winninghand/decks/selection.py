"""Greedy choice of the cards of a deck, within a budget of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.decks.answers import CLEAN, Answers
from winninghand.decks.deck import Deck
from winninghand.decks.fitting import fitted
from winninghand.decks.gate import GATES, GateSettings

# What a deck's file holds besides its cards' files, with room to spare.
_BYTES_OF_THE_GATE = 4096


@dataclass(frozen=True)
class Step:
    """One step of the choice: the card added, by its number from 0, and what the deck is like with it.

    `accuracy` is the deck's on images that it was not fitted on, averaged over the corruptions.
    """

    card: int
    bytes: int
    accuracy: float


def select(
    cards: Sequence[Card],
    sizes: Sequence[int],
    answers: Answers,
    gate: str,
    settings: GateSettings,
    budget: int,
) -> tuple[Step, ...]:
    """Return the steps of greedy forward selection, each the card that helps the deck most.

    `sizes` are the cards' bytes. The deck is fitted on one half of the images and measured on the
    other. It ends when no card that fits into the budget helps. Raises `InputError` where not
    one card fits.
    """
    steps: list[Step] = []
    while True:
        chosen = [step.card for step in steps]
        used = sum(sizes[number] for number in chosen) + _BYTES_OF_THE_GATE
        affordable = [
            number for number in range(len(cards)) if number not in chosen and used + sizes[number] <= budget
        ]
        if not affordable or _full(gate, settings, len(chosen)):
            break
        tried = [
            Step(number, used + sizes[number], _accuracy(cards, [*chosen, number], answers, gate, settings))
            for number in affordable
        ]
        best = max(tried, key=lambda step: step.accuracy)
        if steps and best.accuracy <= steps[-1].accuracy:
            break
        steps.append(best)
    if not steps:
        raise InputError(f"the smallest card has {min(sizes):,} bytes; give a larger budget than {budget:,}")
    return tuple(steps)


def _full(gate: str, settings: GateSettings, cards: int) -> bool:
    """Whether a gate that plays all cards has as many as it may play."""
    most = settings.max_active
    return not GATES[gate].needs_profiles and most is not None and cards >= most


def _accuracy(
    cards: Sequence[Card], numbers: Sequence[int], answers: Answers, gate: str, settings: GateSettings
) -> float:
    chosen = answers.of_cards(numbers)
    deck = fitted(Deck([cards[number] for number in numbers], gate, settings), chosen.of_images(0))
    return corrupted_accuracy(deck, chosen.of_images(1))


def corrupted_accuracy(deck: Deck, answers: Answers) -> float:
    """Return the deck's accuracy over the corrupted images, each condition one batch."""
    accuracies = []
    for place, condition in enumerate(answers.conditions):
        if condition != CLEAN:
            deck.reset()
            mixed = deck.mixed(answers.logits[:, place], deck.weigh(answers.spectra[place]))
            accuracies.append((mixed.argmax(dim=1).cpu() == answers.labels).float().mean())
    return float(torch.stack(accuracies).mean())

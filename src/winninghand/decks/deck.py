"""A deck: several cards and a gate that chooses among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from winninghand.cards import Card, check_batch
from winninghand.decks.gate import GATES
from winninghand.errors import InputError
from winninghand.spectra import SpectralProfile


class Deck(nn.Module):
    """Cards of one task, and the gate that plays them.

    Called with float images (N, 3, H, W) in [0, 1] it gives log-probabilities (N, classes): the
    logarithm of the weighted mean of the softmaxes of the cards played. Raises `InputError`
    where the cards disagree on classes or input size, or lack the profiles that the gate needs.
    """

    def __init__(self, cards: Sequence[Card], gate: str = "spectral") -> None:
        super().__init__()
        _check_cards(cards)
        self._gate = GATES[gate]
        if self._gate.needs_profiles:
            _check_profiles(cards, gate)
        self._cards = nn.ModuleList(cards)
        self.eval()

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards, in the order of the gate's weights."""
        return tuple(cast("Card", card) for card in self._cards)

    @property
    def gate(self) -> str:
        """Name of the gate."""
        return self._gate.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the log-probabilities."""
        return self.cards[0].classes

    def with_gate(self, gate: str) -> Deck:
        """Return a deck of the same cards under another gate."""
        return Deck(self.cards, gate)

    @torch.no_grad()
    def choose(self, images: Tensor) -> Tensor:
        """Return the weight of each card for each image, float (N, cards), rows summing to 1.

        A card of weight 0 is not played.
        """
        check_batch(images, self.cards[0].facts.input_size)
        profiles = [cast("SpectralProfile", card.profile) for card in self.cards]
        return self._gate.weights(images, profiles)

    def play(self, images: Tensor, weights: Tensor) -> Tensor:
        """Return log-probabilities (N, classes) under given weights (N, cards).

        Each card runs once, on the images that it has a weight for.
        """
        probabilities = images.new_zeros(len(images), len(self.classes))
        for number, card in enumerate(self.cards):
            chosen = weights[:, number].nonzero().squeeze(1)
            if len(chosen) == len(images):
                probabilities += weights[:, number, None] * card(images).softmax(dim=1)
            elif len(chosen):
                shares = card(images[chosen]).softmax(dim=1)
                probabilities.index_add_(0, chosen, weights[chosen, number, None] * shares)
        return probabilities.clamp_min(torch.finfo(images.dtype).tiny).log()

    def forward(self, images: Tensor) -> Tensor:
        """Return log-probabilities (N, classes), the cards chosen by the gate."""
        return self.play(images, self.choose(images))

    def save(self, path: Path | str) -> None:
        """Write the deck to one file, whole or not at all."""
        from winninghand.decks.file import save_deck

        save_deck(self, path)


def _check_cards(cards: Sequence[Card]) -> None:
    if not cards:
        raise InputError("a deck needs at least one card")
    first = cards[0].facts
    for number, card in enumerate(cards[1:], start=2):
        if card.facts.classes != first.classes:
            raise InputError(f"card {number} has other classes, or another order of them, than card 1")
        if card.facts.input_size != first.input_size:
            raise InputError(
                f"card {number} takes images of {card.facts.input_size} pixels and card 1 {first.input_size}"
            )


def _check_profiles(cards: Sequence[Card], gate: str) -> None:
    for number, card in enumerate(cards, start=1):
        if card.profile is None:
            raise InputError(
                f"card {number} has no spectral profile, which the gate {gate!r} needs; "
                "use the gate 'average' or make the card with a profile"
            )

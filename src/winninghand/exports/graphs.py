"""Cards and decks as modules without a decision that depends on values: what exporters can trace."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.decks import Deck, Gate
from winninghand.decks.deck import make_gate
from winninghand.spectra import LogSpectra

INPUT = "images"


class CardGraph(nn.Module):
    """A card from float images (N, 3, H, W) in [0, 1] to logits (N, classes)."""

    outputs = ("logits",)

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.normalisation = card.normalisation
        self.network = card.network
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        logits: Tensor = self.network(self.normalisation(images))
        return logits


class DeckGraph(nn.Module):
    """A deck from float images (N, 3, H, W) in [0, 1] to log-probabilities and the cards' weights.

    A card that no image of the batch is played to is skipped; a card that some image is played to
    runs on all of them, and counts with weight 0 where it is not played. Raises `InputError` for a
    gate that remembers earlier batches.
    """

    outputs = ("log_probabilities", "weights")
    temperatures: Tensor

    def __init__(self, deck: Deck) -> None:
        super().__init__()
        gate = make_gate(deck.gate, deck.cards, deck.settings)
        if type(gate).reset is not Gate.reset:
            raise InputError(
                f"the gate {deck.gate!r} remembers earlier images, which an exported graph cannot; "
                "export the deck under another gate"
            )
        if getattr(deck.settings, "batch", None) is not None:
            raise InputError(
                "an exported graph takes each batch as it comes; export the deck with batch=None"
            )
        self.gate = gate
        self.looks = gate.inputs is not None
        self.transform = LogSpectra(deck.input_size)
        self.cards = nn.ModuleList(CardGraph(card) for card in deck.cards)
        self.classes = len(deck.classes)
        self.register_buffer("temperatures", deck.temperatures.clone(), persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (N, classes) and the weights (N, cards) they are made with."""
        weights = self.gate.weigh(self._seen(images))
        probabilities = torch.zeros_like(images[:, :1, 0, 0]).repeat(1, self.classes)
        for number in range(len(self.cards)):
            weight = weights[:, number, None]
            probabilities = probabilities + weight * self._shares(number, images, weight)
        return probabilities.clamp_min(torch.finfo(torch.float32).tiny).log(), weights

    def _seen(self, images: Tensor) -> Tensor:
        """Return what the gate looks at; spectra by products alone, which every format has."""
        if self.gate.inputs == "rings":
            spectra: Tensor = self.transform(images)
            return spectra
        return self.gate.look(images) if self.looks else images

    def _shares(self, number: int, images: Tensor, weight: Tensor) -> Tensor:
        """Return a card's softmax (N, classes), or zeros where no image is played to it."""
        run = self._runner(number)
        if not self.looks:
            return run(images)
        shares: Tensor = torch.cond((weight > 0).any(), run, self._nothing, (images,))
        return shares

    def _runner(self, number: int) -> Callable[[Tensor], Tensor]:
        card, temperature = self.cards[number], self.temperatures[number]
        return lambda images: (card(images) / temperature).softmax(dim=1)

    def _nothing(self, images: Tensor) -> Tensor:
        return torch.zeros_like(images[:, :1, 0, 0]).repeat(1, self.classes)


def graph_of(model: Card | Deck) -> CardGraph | DeckGraph:
    """Return a card or deck in the form that exporters can trace, on the CPU."""
    return (CardGraph(model) if model.kind == "card" else DeckGraph(model)).cpu()

"""A deck of tickets: several targets in one random network, each under a mask of its own."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.cards import Answer
from winninghand.decks import Deck
from winninghand.theory.copies import Depth
from winninghand.theory.embedding import Ticket, program_of, tickets_of
from winninghand.theory.widths import Kind


class TicketDeck(nn.Module):
    """Tickets of a deck's cards, played as the deck is.

    `tickets` are in the order of `targets`' cards. They share one random network, whose weights are held
    once. Called with images (N, 3, H, W) in [0, 1] it gives log-probabilities (N, classes): the gate of the
    targets' deck chooses, with its settings and temperatures, and the tickets answer in the cards' place.
    """

    def __init__(self, targets: Deck, tickets: Sequence[Ticket]) -> None:
        super().__init__()
        self.targets, self.tickets = targets, tuple(tickets)
        self._networks = nn.ModuleList(ticket.network for ticket in tickets)
        self.eval()

    @property
    def bound(self) -> float:
        """The proved supremum of the error of any ticket's logits over all images in [0, 1]."""
        return max(ticket.bound for ticket in self.tickets)

    def forward(self, images: Tensor) -> Tensor:
        """Return log-probabilities (N, classes)."""
        return self.answer(images).outputs

    def answer(self, images: Tensor) -> Answer:
        """Return log-probabilities (N, classes), and the weights (N, tickets) that the gate chose.

        A ticket of weight 0 is not played.
        """
        weights = self.targets.choose(images)
        logits = images.new_zeros(len(self.tickets), len(images), len(self.targets.classes))
        for number, ticket in enumerate(self.tickets):
            chosen = weights[:, number].nonzero().squeeze(1)
            if len(chosen):
                logits[number, chosen] = ticket.network(images[chosen])
        return Answer(self.targets.mixed(logits, weights), weights)

    def __repr__(self) -> str:
        return f"TicketDeck({len(self.tickets)} masks of one random network, bound {self.bound:.2g})"


def embed_deck(
    deck: Deck,
    epsilon: float = 0.01,
    seed: int = 0,
    kind: Kind = "float",
    samples: int | None = None,
    depth: Depth = "2L",
) -> TicketDeck:
    """Return the tickets of a deck's cards: one random network, and a mask for each card.

    The width is what is enough for every card, at scales that are those of the largest weights of all. Where
    many targets share one source, no more random numbers are needed than for one (Lueker 1998; Burkholz et
    al. 2022, arXiv:2111.11146). All else is as for `embed`, whose arguments these are.

    Raises `InputError` where `embed` would, for cards that are not of one network, and for what is no deck.
    """
    if not isinstance(deck, Deck):
        raise InputError(f"embed_deck takes a deck, not {type(deck).__name__}; take embed for one target")
    programs = [program_of(card) for card in deck.cards]
    return TicketDeck(deck, tickets_of(programs, epsilon, seed, kind, samples, depth))

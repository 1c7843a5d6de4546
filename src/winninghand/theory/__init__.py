"""Existence results, executable: tickets of a random network, proved to do what their target does."""

from winninghand.theory.certificate import Certificate, Proof
from winninghand.theory.comparison import LayerReport
from winninghand.theory.embedding import Ticket, embed
from winninghand.theory.subset_sums import Subsets, best_subsets
from winninghand.theory.ticket_deck import TicketDeck, embed_deck
from winninghand.theory.ticket_file import load_ticket, load_ticket_deck, save_ticket
from winninghand.theory.widths import Width

__all__ = [
    "Certificate",
    "LayerReport",
    "Proof",
    "Subsets",
    "Ticket",
    "TicketDeck",
    "Width",
    "best_subsets",
    "embed",
    "embed_deck",
    "load_ticket",
    "load_ticket_deck",
    "save_ticket",
]

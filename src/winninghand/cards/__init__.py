"""Cards: compact networks that know how to be used, and their files."""

from winninghand.cards.card import Card, architecture_metadata, check_batch
from winninghand.cards.file import card_entropy_bound, load_card, save_card
from winninghand.cards.inspection import Inspection, Layer
from winninghand.cards.metadata import CardMetadata
from winninghand.cards.normalisation import Normalisation
from winninghand.cards.player import Answer, Player, player_of

__all__ = [
    "Answer",
    "Card",
    "CardMetadata",
    "Inspection",
    "Layer",
    "Normalisation",
    "Player",
    "architecture_metadata",
    "card_entropy_bound",
    "check_batch",
    "load_card",
    "player_of",
    "save_card",
]

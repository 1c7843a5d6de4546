"""Cards: compact networks that know how to be used, and their files."""

from winninghand.cards.card import Card, architecture_facts, check_batch
from winninghand.cards.facts import CardFacts
from winninghand.cards.file import card_entropy_bound, load_card, save_card
from winninghand.cards.inspection import Inspection, Layer
from winninghand.cards.normalisation import Normalisation

__all__ = [
    "Card",
    "CardFacts",
    "Inspection",
    "Layer",
    "Normalisation",
    "architecture_facts",
    "card_entropy_bound",
    "check_batch",
    "load_card",
    "save_card",
]

"""How differently two cards answer: what a deck lives by."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch

from winninghand.decks.answers import CLEAN, Answers


@dataclass(frozen=True)
class Diversity:
    """Two cards, numbered from 0, over the corrupted images.

    `disagreement` is the fraction of the images that they answer differently; `error_correlation`
    is the correlation, over the images, of being wrong (Kuncheva & Whitaker 2003).
    """

    cards: tuple[int, int]
    disagreement: float
    error_correlation: float


def diversity(answers: Answers) -> tuple[Diversity, ...]:
    """Return the diversity of every pair of cards."""
    corrupted = [place for place, condition in enumerate(answers.conditions) if condition != CLEAN]
    choices = answers.logits[:, corrupted].argmax(dim=-1).flatten(1)
    right = answers.correct[:, corrupted].flatten(1).float()
    if len(choices) < 2:
        return ()
    # A card that is always right, or never, correlates with nothing.
    correlations = torch.corrcoef(right).nan_to_num(0.0)
    return tuple(
        Diversity(
            (one, other),
            float((choices[one] != choices[other]).float().mean()),
            float(correlations[one, other]),
        )
        for one, other in combinations(range(len(choices)), 2)
    )

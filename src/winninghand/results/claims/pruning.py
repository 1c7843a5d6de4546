"""Claims on what pruning does to robust accuracy: C1, C2 and C6."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from winninghand.results.claims.claim import Claim
from winninghand.results.claims.comparison import Comparison, Missing
from winninghand.results.claims.groups import Groups, compared, robust

KEPT = -0.01
"""Robust accuracy is kept where it lies no more than this below that of the dense network."""


class TicketsKeepRobustness(Claim):
    """Lottery-ticket-style pruning keeps what pruning of trained networks loses."""

    name = "C1"
    sentence = (
        "LRR, LTH, EP and BP keep or raise the dense network's robust accuracy at 80, 90 and 95% sparsity, "
        "where FT and GMP lose it"
    )
    statistic = "robust accuracy of a card less that of its dense network; kept: above -1 point"

    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Compare each card of these methods and sparsities with its dense network."""
        for method, sparsity in product(("lrr", "lth", "ep", "bp", "ft", "gmp"), (0.8, 0.9, 0.95)):
            cards = groups.chosen(method, sparsity)
            if not cards:
                yield Missing(f"{method} at {sparsity:.0%}")
            for card in cards:
                yield groups.against_dense(
                    card, robust, "below" if method in ("ft", "gmp") else "above", KEPT
                )


class GlobalScopeWins(Claim):
    """A budget that is spent over the whole network is spent better than layer by layer."""

    name = "C2"
    sentence = "At 95% sparsity global pruning gives more robust cards than layerwise pruning"
    statistic = "robust accuracy of a card of global scope less that of its layerwise twin"

    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Compare each global card with the one that differs in its scope only."""
        found = False
        for card in groups.chosen(sparsity=0.95):
            if card.recipe["compression"].get("scope") != "global":
                continue
            for twin in groups.twins(card, "compression.scope"):
                if twin.recipe["compression"].get("scope") == "layerwise":
                    found = True
                    yield compared(card.label, [(1.0, card), (-1.0, twin)], robust)
        if not found:
            yield Missing("cards at 95% that differ in their scope only")


class BinaryCardsKeepRobustness(Claim):
    """Weights of two values are enough."""

    name = "C6"
    sentence = "Binary cards (BP) keep the robust accuracy of their dense network"
    statistic = "robust accuracy of a binary card less that of its dense network; kept: above -1 point"

    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Compare each binary card with its dense network."""
        cards = groups.chosen("bp")
        if not cards:
            yield Missing("binary cards (bp)")
        for card in cards:
            yield groups.against_dense(card, robust, "above", KEPT)

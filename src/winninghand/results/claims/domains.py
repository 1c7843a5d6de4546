"""Claims on what training domains do for cards: C3."""

from __future__ import annotations

from collections.abc import Iterator

from winninghand.results.claims.claim import Claim
from winninghand.results.claims.comparison import Comparison, Missing
from winninghand.results.claims.groups import Groups, compared, robust
from winninghand.results.claims.pruning import KEPT


class AugmentationLiftsCards(Claim):
    """What augmentation gains is not lost by pruning."""

    name = "C3"
    sentence = "Augmentation lifts the robust accuracy of cards as much as that of dense networks"
    statistic = (
        "gain in robust accuracy of a card under a domain over the clean one, less the gain of its dense "
        "network; as much: above -1 point"
    )

    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Compare the gain of each augmented card with that of its dense network."""
        found = False
        for card in groups.chosen():
            clean = [one for one in groups.twins(card, "domain") if one.recipe["domain"]["name"] == "clean"]
            if not clean or card.recipe["domain"]["name"] == "clean":
                continue
            found = True
            dense, dense_clean = groups.dense_of(card), groups.dense_of(clean[0])
            if dense is None or dense_clean is None:
                yield Missing(f"dense networks, clean and augmented, to compare with {card.label}")
                continue
            terms = [(1.0, card), (-1.0, clean[0]), (-1.0, dense), (1.0, dense_clean)]
            yield compared(card.label, terms, robust, "above", KEPT)
        if not found:
            yield Missing("cards that differ in their domain only, clean and augmented")

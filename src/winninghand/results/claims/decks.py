"""Claims on decks: C4."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from winninghand.results.claims.claim import Claim
from winninghand.results.claims.comparison import Comparison, Missing
from winninghand.results.claims.groups import Group, Groups
from winninghand.results.runs import RunResult


class DecksBeatTheirCards(Claim):
    """Several cards together know more than the best of them, and a gate spares passes.

    A deck is better than its best card where it is better than each of its cards: so no card is chosen by
    the images that it is judged on. Decks of the same table and of cards that differ in their seeds only take
    the place of seeds. Decks of dense networks alone are not what is claimed of. A deck of one body has no
    average beside it: its one card is what it is compared with. So the claim needs a gated deck of several
    cards, too.
    """

    name = "C4"
    sentence = (
        "A deck has a higher robust accuracy than its best card, and a gated deck a higher one than the "
        "average of the same cards, at fewer passes"
    )
    statistic = (
        "robust accuracy of a deck less that of each of its cards; of a gated deck less that of the average, "
        "and its passes in percent of the average's; passes are counted, not tested"
    )

    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Compare decks with each of their cards, and gated ones with the average of the same cards."""
        cards = {run.name: run for group in groups.cards for run in group.runs}
        sparse = [
            deck for deck in groups.decks if any(cards[name].about.method != "dense" for name in set_of(deck))
        ]
        if not sparse:
            yield Missing("decks of cards that were measured on the images of the study")
            return
        if not any(deck.about.gate != "average" and len(set_of(deck)) > 1 for deck in sparse):
            yield Missing("a gated deck of several cards, and the average of the same")
        averages = {set_of(one): one for one in sparse if one.about.gate == "average"}
        for decks in alike(sparse, cards):
            members = [_in_order(deck, cards) for deck in decks]
            for place in range(len(members[0])):
                yield _over(decks, [ordered[place] for ordered in members])
            if decks[0].about.gate == "average" or len(members[0]) == 1:
                continue
            same = [averages[set_of(deck)] for deck in decks if set_of(deck) in averages]
            if len(same) < len(decks):
                yield Missing(f"the average of the same cards, beside {decks[0].name}")
                continue
            yield _over(decks, same)
            passes = [[deck.mean_passes / other.mean_passes] for deck, other in zip(decks, same, strict=True)]
            yield Comparison(
                f"passes of {decks[0].name}, of those of {same[0].name}",
                np.array(passes),
                tuple(deck.name for deck in decks),
                tuple(other.name for other in same),
                "below",
                value=1.0,
                exact=True,
            )


def set_of(deck: RunResult) -> frozenset[str]:
    """Return the names of a deck's cards."""
    return frozenset(deck.about.members)


def alike(decks: Sequence[RunResult], cards: dict[str, RunResult]) -> list[list[RunResult]]:
    """Return decks of one table and of cards that differ in their seeds only; no card is in two of them."""
    found: dict[tuple[object, ...], list[RunResult]] = defaultdict(list)
    for deck in decks:
        recipes = tuple(Group((card,)).without("seed") for card in _in_order(deck, cards))
        kind = (deck.about.gate, json.dumps(deck.about.choice, sort_keys=True), recipes)
        same = found[kind]
        if all(set_of(deck).isdisjoint(set_of(other)) for other in same):
            same.append(deck)
        else:
            found[*kind, deck.name] = [deck]
    return list(found.values())


def _in_order(deck: RunResult, cards: dict[str, RunResult]) -> list[RunResult]:
    """Return the cards of a deck by recipe and seed, so that those of like decks stand side by side."""
    members = [cards[name] for name in deck.about.members]
    return sorted(members, key=lambda card: (Group((card,)).without("seed"), card.about.seed or 0))


def _over(decks: Sequence[RunResult], others: Sequence[RunResult]) -> Comparison:
    differences = [
        deck.robust_correct - other.robust_correct for deck, other in zip(decks, others, strict=True)
    ]
    return Comparison(
        f"{decks[0].name} over {others[0].name}",
        np.stack(differences),
        tuple(deck.name for deck in decks),
        tuple(other.name for other in others),
        another=f"a second deck like {decks[0].name}, of cards of other seeds",
    )

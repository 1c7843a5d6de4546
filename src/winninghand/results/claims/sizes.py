"""Claims on bytes and widths: C5, C7 and C8."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from winninghand.results.claims.claim import Claim
from winninghand.results.claims.comparison import Comparison, Missing
from winninghand.results.claims.groups import Group, Groups, compared, robust

SPARSE = 0.945
"""From here on a card counts as one at 95%."""

CARD_SHARE, DECK_SHARE, MOST_CARDS = 0.1, 1 / 3, 6
"""Of its dense network's bytes a card takes less than the first, a deck of so many cards than the second."""

EQUAL_BYTES = (0.95, 1.25)
"""A dense network spends a card's bytes from a little fewer on, and up to a quarter more it may take."""

EQUAL_COUNT = 0.1
"""Networks count as of equal capacity where their non-zero parameters differ by no more than this share."""


class CardsAreCompact(Claim):
    """Bytes of files, counted and not sampled, so that nothing is tested."""

    name = "C5"
    sentence = (
        "A 95% card takes less than a tenth of the bytes of its dense network in fp32, and a deck of at most "
        "six such cards less than a third"
    )
    statistic = "bytes of the file by 4 × parameters of one dense network; counted, not tested"

    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Compare bytes of cards and decks with those of one dense network."""
        sparse = [card for card in groups.chosen() if card.sparsity >= SPARSE]
        known = [
            card for card in sparse if all(run.about.bytes and run.about.parameters for run in card.runs)
        ]
        if not known:
            yield Missing("cards at 95% whose bytes are known")
        for card in known:
            shares = [(run.about.bytes or 0) / (4 * (run.about.parameters or 1)) for run in card.runs]
            yield _counted(card.label, shares, card.names, CARD_SHARE)
        members = {run.name: run for card in known for run in card.runs}
        decks = [
            deck
            for deck in groups.decks
            if len(deck.about.members) <= MOST_CARDS and members.keys() >= set(deck.about.members)
        ]
        if not decks:
            yield Missing(f"a deck of at most {MOST_CARDS} cards at 95%")
        for deck in decks:
            whole = max(4 * (members[name].about.parameters or 1) for name in deck.about.members)
            yield _counted(deck.name, [(deck.about.bytes or 0) / whole], (deck.name,), DECK_SHARE)


class SparseWideWins(Claim):
    """What an engineer asks: of so many bytes, which network?"""

    name = "C7"
    sentence = "At equal bytes a sparse wide card is more robust than a dense narrow network"
    statistic = (
        "robust accuracy of a card less that of the narrower dense network, of those whose file is at most "
        "25% larger, that did best on validation images; one of them is at most 5% smaller"
    )

    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Compare each card with the narrower dense network that did best on validation images.

        One that needs fewer bytes is a rival, too, but not where all do: they could be better with more.
        """
        found = False
        for card in groups.chosen():
            rivals = [one for one in _narrower(groups, card) if _share(one, card) <= EQUAL_BYTES[1]]
            if any(_share(one, card) >= EQUAL_BYTES[0] for one in rivals):
                found = True
                rival = max(rivals, key=lambda one: (_validated(one), -_mean(one, _bytes)))
                rounded = "" if rival.weights == card.weights else f", weights {rival.weights}"
                label = f"{card.label}, over width {rival.width:g}{rounded}"
                yield compared(label, [(1.0, card), (-1.0, rival)], robust)
        if not found:
            yield Missing("a card, and a dense narrower network of as many bytes")


class SparsityHelpsAtEqualCapacity(Claim):
    """With as many weights that count, spread over a wider network."""

    name = "C8"
    sentence = (
        "At equal capacity, non-zero parameters held and width raised, robust accuracy rises with sparsity"
    )
    statistic = (
        "rise of the straight line of robust accuracy over sparsity, from the least sparse network to the "
        "sparsest"
    )

    def comparisons(self, groups: Groups) -> Iterator[Comparison | Missing]:
        """Fit a line through each row of networks of equally many non-zero parameters."""
        found = False
        for chain in _of_equal_capacity(groups):
            found = True
            label = f"{chain[-1].label}, from width {chain[0].width:g}"
            yield compared(label, _rise(chain), robust)
        if not found:
            yield Missing("networks of several widths with equally many non-zero parameters")


def _of_equal_capacity(groups: Groups) -> Iterator[list[Group]]:
    """Yield networks that differ in width and sparsity only and have equally many non-zero parameters.

    The first may be a dense network, as long as the one with which the least sparse card is compared.
    """
    rows: dict[str, list[Group]] = {}
    for card in groups.chosen():
        rows.setdefault(card.kind_of_any_capacity, []).append(card)
    for cards in rows.values():
        least = min(cards, key=lambda one: one.sparsity)
        row = [*groups.dense_of_any_width(least), *cards]
        known = [one for one in row if one.width and _is_known(one, _nonzero)]
        left = sorted(known, key=lambda one: one.sparsity)
        while left:
            first, count = left[0], _mean(left[0], _nonzero)
            chain = [one for one in left if abs(_mean(one, _nonzero) / count - 1) <= EQUAL_COUNT]
            taken = {one.names for one in chain}
            left = [one for one in left if one.names not in taken]
            chain = [first, *(one for one in chain if _is_wider_and_sparser(one, first))]
            if len(chain) > 1:
                yield chain


def _is_wider_and_sparser(one: Group, other: Group) -> bool:
    return (one.width or 0) > (other.width or 0) and one.sparsity > other.sparsity


def _rise(chain: Sequence[Group]) -> list[tuple[float, Group]]:
    """Return the weights that make the rise of the least-squares line over sparsity of the groups' values."""
    sparsity = np.array([one.sparsity for one in chain])
    centred = sparsity - sparsity.mean()
    weights = centred / (centred @ centred) * (sparsity.max() - sparsity.min())
    return list(zip(map(float, weights), chain, strict=True))


def _narrower(groups: Groups, card: Group) -> list[Group]:
    """Return the dense networks of a card's kind that are narrower, however their weights are rounded."""
    return [
        one
        for one in groups.dense
        if one.place_of_any_bytes == card.place_of_any_bytes and (one.width or 0) < (card.width or 0)
    ]


def _share(dense: Group, card: Group) -> float:
    """Return a dense network's bytes by those of a card; infinity where they are unknown."""
    known = _is_known(card, _bytes) and _is_known(dense, _bytes)
    return float(_mean(dense, _bytes) / _mean(card, _bytes)) if known else np.inf


def _validated(group: Group) -> float:
    """Return the mean validation accuracy; networks of which it is unknown come last, the smallest first."""
    known = [run.about.validation_accuracy for run in group.runs]
    return float(np.mean([one for one in known if one is not None])) if None not in known else -1.0


def _counted(label: str, shares: Sequence[float], names: tuple[str, ...], most: float) -> Comparison:
    return Comparison(label, np.array(shares)[:, None], names, (), "below", most, exact=True)


Count = Callable[[Group], Sequence[int | None]]


def _bytes(group: Group) -> Sequence[int | None]:
    return [run.about.bytes for run in group.runs]


def _nonzero(group: Group) -> Sequence[int | None]:
    return [run.about.nonzero for run in group.runs]


def _is_known(group: Group, count: Count) -> bool:
    return all(count(group))


def _mean(group: Group, count: Count) -> float:
    return float(np.mean([one or 0 for one in count(group)]))

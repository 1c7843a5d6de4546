"""Which domains' norms make the best hand on one body, judged by corruptions that the gate was not fitted on.

    python -m benchmarks.best_hand CARD --data cifar10 --root ../shared/data --out DIR

Norms are trained for every domain; each small set of them then plays one card on each image. The gate is
fitted on half of the card's validation images under three of the four extra corruptions, and measured on the
other half under the fourth: each of the four is left out in turn, and the halves are changed over. `own` are
the card's own norms. The fifteen of the benchmark and C-bar have no part in it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import torch

from benchmarks.gate_study import Batches, play
from benchmarks.tables import arguments, document, show, write
from winninghand.base.progress import progress_bar
from winninghand.cards import Card
from winninghand.decks import Deck, load, load_card
from winninghand.decks.fitting import fitted, fitting_conditions, fitting_images
from winninghand.decks.fitting_data import CLEAN, FittingData, collect
from winninghand.evaluation import Interval, paired_difference
from winninghand.images import ImageSet, load_images
from winninghand.training.specializing import images_to_go, specialize

DOMAINS = "clean,gaussian,augmix,trivialaugment,pixmix,hybridaugment,prime,afa"
ONE_CELL = Batches("one cell", 256)
COLUMNS = ("norms", "clean", "corruption left out", "− card, 95% interval", "seen corruptions")


@dataclass(frozen=True)
class Hand:
    """What a set of norms is worth: `unseen` is its accuracy under the corruption left out."""

    names: tuple[str, ...]
    clean: float
    unseen: float
    gain: Interval
    seen: float


def main() -> None:
    """Print and write the best hands of each size."""
    wanted = _wanted()
    images = load_images(wanted.data, root=wanted.root)
    card, names = load_card(wanted.card), wanted.domains.split(",")
    norms = _specialized(card, images, names, wanted)
    chosen = fitting_images([card], images.train, wanted.fit)
    conditions = fitting_conditions()
    with progress_bar("running the norms", len(conditions) * len(chosen.indices)) as progress:
        data = collect([card, *norms], images.train, chosen.indices, conditions, progress=progress)
    cards, names = [card, *norms], ["own", *names]
    subsets = _subsets(len(cards), wanted.most)
    found = []
    with progress_bar("fitting hands", len(subsets)) as progress:
        for numbers in subsets:
            found.append(hand(cards, names, numbers, data))
            progress(1)
    title = (
        f"{wanted.card}: norms on {len(data.labels)} training images "
        f"({'unseen' if chosen.unseen else 'seen in training'})"
    )
    best = sorted(found, key=lambda one: -one.unseen)[: wanted.top] + [
        one for one in found if len(one.names) == 1
    ]
    rows = [_cells(one) for one in best]
    show(title, COLUMNS, rows)
    write(wanted.out, {"best_hand.md": document(title, (COLUMNS, rows))})


def hand(cards: Sequence[Card], names: Sequence[str], numbers: Sequence[int], data: FittingData) -> Hand:
    """Return what cards with these numbers are worth as one deck; card 0 is the card that all came from."""
    deck = Deck([cards[number] for number in numbers], "weighted", max_active=1)
    some, card = data.of_cards(numbers), data.of_cards([0])
    kinds = sorted({name for name, _ in data.conditions} - {CLEAN[0]})
    clean, seen, unseen, alone = [], [], [], []
    for half, name in product((0, 1), kinds):
        fit, others = some.of_images(half), some.of_images(1 - half)
        there = [place for place, condition in enumerate(data.conditions) if condition[0] == name]
        rest = [place for place in range(len(data.conditions)) if place not in there]
        player = fitted(deck, fit.of_conditions(rest))
        accuracies = play(player, others.of_conditions(rest), ONE_CELL).correct.double().mean(dim=1)
        is_clean = torch.tensor([data.conditions[place] == CLEAN for place in rest])
        clean.append(float(accuracies[is_clean].mean()))
        seen.append(float(accuracies[~is_clean].mean()))
        unseen.append(play(player, others.of_conditions(there), ONE_CELL).correct.double())
        alone.append(card.of_images(1 - half).of_conditions(there).correct[0].double())
    played, base = (torch.cat(_by_half(parts)) for parts in (unseen, alone))
    return Hand(
        tuple(names[number] for number in numbers),
        statistics.fmean(clean),
        float(played.mean()),
        paired_difference(played.numpy(), base.numpy()),
        statistics.fmean(seen),
    )


def _by_half(parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return of each half of the images (M,) their means over what was left out, and its severities."""
    count = len(parts) // 2
    return [torch.cat(list(some)).mean(dim=0) for some in (parts[:count], parts[count:])]


def _specialized(card: Card, images: ImageSet, names: Sequence[str], wanted: _Wanted) -> list[Card]:
    found = []
    for name in names:
        place = wanted.out / f"{name}.card"
        if not place.exists():
            total = images_to_go(card, images, 1, wanted.epochs, wanted.limit)
            with progress_bar(f"training norms: {name}", total) as progress:
                deck = specialize(card, images, [name], wanted.epochs, limit=wanted.limit, progress=progress)
            deck.cards[0].save(place)
        one = load(place)
        assert one.kind == "card"
        found.append(one)
    return found


def _subsets(count: int, most: int) -> list[tuple[int, ...]]:
    return [some for size in range(1, most + 1) for some in combinations(range(count), size)]


def _cells(one: Hand) -> list[str]:
    return [
        ", ".join(one.names),
        f"{one.clean:.2%}",
        f"{one.unseen:.2%}",
        one.gain.in_points,
        f"{one.seen:.2%}",
    ]


@dataclass(frozen=True)
class _Wanted:
    card: str
    data: str
    root: Path | None
    out: Path
    domains: str
    epochs: int
    limit: int | None
    fit: int
    most: int
    top: int


def _wanted() -> _Wanted:
    parser = arguments(__doc__)
    parser.add_argument("card")
    parser.add_argument("--domains", default=DOMAINS, help="joined by commas")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--limit", type=int, help="training images for each set of norms; all by default")
    parser.add_argument("--fit", type=int, default=2000, help="validation images")
    parser.add_argument("--most", type=int, default=3, help="sets of norms in a hand, at most")
    parser.add_argument("--top", type=int, default=12, help="rows of the table")
    return _Wanted(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()

"""What several sets of norms and their gate cost: a deck of one body beside its card, in time and bytes.

    python -m benchmarks.shared_body [MODEL.deck]

Without a deck, the norms of the zoo's card `cifar10-lrr95-augmix` are shaken a little and put under the gate
`weighted` with one active card: times and bytes do not ask how norms were trained. Card, gate and deck are
called in turn; figures are medians of processor time on one thread, so that other work counts little.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.gate_time import interleaved
from winninghand.cards import Card
from winninghand.decks import Deck, load
from winninghand.decks.gate import FittedScores
from winninghand.networks.norms import norm_names, with_norms_of_its_own
from winninghand.spectra.profile import RINGS

CARD = "zoo:cifar10-lrr95-augmix"
SETS = 3
BATCHES = (1, 16, 64)
# As `evaluate` and `predict` hand them over, and as `torch.rand` and most loaders do.
LAYOUTS = {"channels-last": torch.channels_last, "contiguous": torch.contiguous_format}
ROUNDS = {1: 200, 16: 60, 64: 20}


@torch.inference_mode()
def main(path: str | None = None) -> None:
    """Print the deck's time and bytes beside its card's."""
    torch.set_num_threads(1)
    deck = made_deck() if path is None else load(path)
    if deck.kind != "deck":
        raise SystemExit(f"{path} holds a card; give a deck of one body")
    columns = (
        "played",
        "images lie",
        "batch",
        "rounds",
        "card ms",
        "gate ms",
        "norms ms",
        "deck ms",
        "deck / card",
    )
    table = Table(*columns, title=f"{deck}")
    for kind, layout, size in product(("one set a batch", "a set each image"), LAYOUTS, BATCHES):
        if size > 1 or kind == "one set a batch":
            table.add_row(kind, layout, str(size), str(ROUNDS[size]), *_figures(deck, size, kind, layout))
    console = Console(width=130)
    console.print(table)
    console.print(_bytes(deck))
    console.print(f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} thread")


def made_deck() -> Deck:
    """Return a deck of the zoo's card under several sets of norms."""
    with torch.inference_mode(False):
        card = load(CARD)
        assert card.kind == "card"
        cards = [_shaken(card, number) for number in range(SETS)]
        generator = torch.Generator().manual_seed(0)
        slopes = tuple(map(tuple, torch.randn(SETS, RINGS, generator=generator).tolist()))
        scores = FittedScores(slopes=slopes, offsets=(0.0,) * SETS)
        return Deck(cards, "weighted", max_active=1, scores=scores)


def _shaken(card: Card, number: int) -> Card:
    network = with_norms_of_its_own(card.network)
    generator = torch.Generator().manual_seed(number)
    names = norm_names(network)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name in names and tensor.is_floating_point():
                tensor.mul_(1 + 0.01 * torch.rand(tensor.shape, generator=generator)).copy_(tensor.half())
    return Card(*card.parts._replace(network=network))


def _figures(deck: Deck, size: int, kind: str, layout: str) -> list[str]:
    images = torch.rand(size, 3, *deck.input_size).contiguous(memory_format=LAYOUTS[layout])
    numbers = torch.arange(size) % len(deck.cards) if kind == "a set each image" else torch.zeros(size).long()
    weights = torch.nn.functional.one_hot(numbers, len(deck.cards)).float()

    def whole() -> Tensor:
        deck.choose(images)
        return deck.play(images, weights)

    card, gate, norms, deck_time = interleaved(
        (
            lambda: deck.cards[0](images),
            lambda: deck.choose(images),
            lambda: deck.play(images, weights),
            whole,
        ),
        ROUNDS[size],
        clock=time.process_time,
    )
    times = [f"{1000 * one:.2f}" for one in (card, gate, norms, deck_time)]
    return [*times, f"{deck_time / card:.3f}"]


def _bytes(deck: Deck) -> str:
    with tempfile.TemporaryDirectory() as folder:
        card, whole = Path(folder) / "a.card", Path(folder) / "a.deck"
        deck.cards[0].save(card)
        deck.save(whole)
        sizes = card.stat().st_size, whole.stat().st_size
    return f"bytes: card {sizes[0]:,}, deck {sizes[1]:,}, {sizes[1] / sizes[0]:.3f} times as many"


if __name__ == "__main__":
    main(*sys.argv[1:2])

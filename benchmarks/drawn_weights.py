"""Bytes of edge-popup's and biprop's cards, and of decks of them, with values and as a seed and masks.

Each card is trained for one epoch on the digits: its size depends on network, method and sparsity, and hardly
on how long it is trained.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from winninghand import Card, Deck
from winninghand.images import load_images
from winninghand.recipe import make_recipe
from winninghand.training import train

DOMAINS = ("clean", "gaussian", "trivialaugment", "afa")


def card_of(method: str, sparsity: float, domain: str, out: Path) -> Card:
    """Return a card of Conv-2 of width 8, of seed 0."""
    recipe = {
        "network": {"name": "conv2", "width": 8},
        "domain": {"name": domain, "flip": False, "padding": 2},
        "compression": {"method": method, "sparsity": sparsity},
        "training": {"epochs": 1, "batch_size": 64, "learning_rate": 0.05},
    }
    return train(make_recipe(recipe), load_images("digits"), out / f"{method} {sparsity} {domain}")


def size_of(cards: list[Card], path: Path) -> int:
    """Return the bytes of the file of a card, or of a deck of several."""
    (cards[0] if len(cards) == 1 else Deck(cards, "average")).save(path)
    return path.stat().st_size


def main() -> None:
    """Print the table; it needs no data but the digits."""
    table = Table("method, sparsity", "cards", "values", "seed and masks")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for method in ("ep", "bp"):
            for sparsity in (0.8, 0.95):
                cards = [card_of(method, sparsity, domain, path) for domain in DOMAINS]
                # Of another seed than its recipe says, a card is written with its values.
                plain = [
                    card.with_metadata(recipe=dict(card.metadata.recipe or {}, seed=1)) for card in cards
                ]
                for count in (1, 2, 4):
                    sizes = (size_of(some[:count], path / "a.file") for some in (plain, cards))
                    table.add_row(f"{method}, {sparsity:.0%}", f"{count}", *(f"{size:,}" for size in sizes))
    Console().print(table)


if __name__ == "__main__":
    main()

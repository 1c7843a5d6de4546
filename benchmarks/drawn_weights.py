"""Bytes of edge-popup's and biprop's cards, and of decks of them, with values and as a seed and masks.

So of dense cards and of their tickets, which are the same functions, but for ε. Each card is trained for one
epoch on the digits: its size depends on network, method and sparsity, and hardly on how long it is trained.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from winninghand import Card, Deck
from winninghand.images import load_images
from winninghand.recipe import make_recipe
from winninghand.theory import embed, embed_deck, save_ticket
from winninghand.training import train

DOMAINS = ("clean", "gaussian", "trivialaugment", "afa")
COUNTS = (1, 2, 4)
EPSILON = 0.01


def card_of(method: str, sparsity: float, domain: str, out: Path, width: int = 8) -> Card:
    """Return a card of Conv-2, of seed 0."""
    recipe = {
        "network": {"name": "conv2", "width": width},
        "domain": {"name": domain, "flip": False, "padding": 2},
        "compression": {"method": method} | ({"sparsity": sparsity} if sparsity else {}),
        "training": {"epochs": 1, "batch_size": 64, "learning_rate": 0.05},
    }
    return train(make_recipe(recipe), load_images("digits"), out / f"{method} {sparsity} {domain}")


def size_of(cards: list[Card], path: Path) -> int:
    """Return the bytes of the file of a card, or of a deck of several."""
    (cards[0] if len(cards) == 1 else Deck(cards, "average")).save(path)
    return path.stat().st_size


def ticket_rows(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the rows of tickets: files of the cards themselves, and of one seed and a mask for each."""
    cards = [card_of("dense", 0.0, domain, path, width=4) for domain in DOMAINS]
    for count in COUNTS:
        some = cards[:count]
        found = embed(some[0], EPSILON) if count == 1 else embed_deck(Deck(some, "average"), EPSILON)
        save_ticket(found, path / "a.ticket")
        sizes = size_of(some, path / "a.file"), (path / "a.ticket").stat().st_size
        yield f"ticket, ε = {EPSILON}", f"{count}", *(f"{size:,}" for size in sizes)


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
                for count in COUNTS:
                    sizes = (size_of(some[:count], path / "a.file") for some in (plain, cards))
                    table.add_row(f"{method}, {sparsity:.0%}", f"{count}", *(f"{size:,}" for size in sizes))
        for row in ticket_rows(path):
            table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()

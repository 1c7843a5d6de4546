"""What a deck is, line by line, and its cards side by side, for people: in the terminal and in notebooks."""

from __future__ import annotations

from collections.abc import Sequence

from winninghand.base.errors import percent, shown
from winninghand.cards import Card
from winninghand.cards.data_sheet import classes_text, images_text
from winninghand.decks.gate import GateSettings

CARD_COLUMNS = ("card", "network", "domain", "method", "weights", "sparsity", "temperature", "accuracies")


def deck_sheet(cards: Sequence[Card], gate: str, settings: GateSettings) -> dict[str, str]:
    """Return what a deck is as lines of a name and a text; its size is its reader's to add."""
    chosen = settings.model_dump(mode="json", exclude={"scores"}, exclude_defaults=True)
    words = [gate, *(f"{key} {value}" for key, value in chosen.items())]
    words += ["fitted"] if settings.scores is not None else []
    return {
        "cards": f"{len(cards)}",
        "gate": shown(", ".join(words)),
        "classes": classes_text(cards[0].classes),
        "images": images_text(cards[0].metadata),
    }


def card_rows(cards: Sequence[Card], temperatures: Sequence[float]) -> list[tuple[str, ...]]:
    """Return one row of `CARD_COLUMNS` for each card, numbered from 1."""
    rows = []
    for number, (card, temperature) in enumerate(zip(cards, temperatures, strict=True), 1):
        metadata = card.metadata
        compression = (metadata.recipe or {}).get("compression")
        texts = (
            str(number),
            card.network_name,
            metadata.domain_name,
            compression.get("method") if isinstance(compression, dict) else None,
            (metadata.quantization or {}).get("weights", "as trained"),
            percent(card.inspect().sparsity),
            f"{temperature:.3f}",
            ", ".join(f"{name} {value:.2%}" for name, value in metadata.accuracies.items()),
        )
        rows.append(tuple("not known" if text is None else shown(text) for text in texts))
    return rows

"""Who plays when: the mean weight that a deck's gate gives each card, by corruption and severity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from winninghand.base.charts import caption_of, drawing, in_style
from winninghand.base.device import to_unit
from winninghand.base.errors import checked_whole, shown
from winninghand.cards import Card
from winninghand.corruptions import (
    SEVERITIES,
    available_names,
    checked_severities,
    corrupt,
)
from winninghand.decks.fitting_data import CLEAN, Condition
from winninghand.images.image_set import Split, checked_split

if TYPE_CHECKING:
    import altair

_CELL = 22
_ROW = 16


@dataclass(frozen=True)
class Choices:
    """The mean weight of each card under each condition, float64 (conditions, cards), rows summing to 1.

    The first condition is (`clean`, 0), the images as they are. `images` is how many were looked at under
    each condition, `seed` that of the sample and of the corruptions.
    """

    conditions: tuple[Condition, ...]
    cards: tuple[str, ...]
    weights: np.ndarray
    images: int
    seed: int

    def rows(self) -> list[dict[str, Any]]:
        """Return one row of plain values for each condition and card."""
        return [
            {"corruption": corruption, "severity": severity, "card": card, "weight": float(weight)}
            for (corruption, severity), weights in zip(self.conditions, self.weights, strict=True)
            for card, weight in zip(self.cards, weights, strict=True)
        ]

    def by_corruption(self) -> dict[str, list[float]]:
        """Return each corruption's mean weights over its severities, one for each card."""
        names = list(dict.fromkeys(name for name, _ in self.conditions))
        return {
            name: np.mean(
                [row for (other, _), row in zip(self.conditions, self.weights, strict=True) if other == name],
                axis=0,
            ).tolist()
            for name in names
        }


class Chooser(Protocol):
    """What of a deck is needed to see whom it plays."""

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards, in the order of their weights."""

    @property
    def device(self) -> torch.device:
        """Where images must be."""

    def choose(self, images: Tensor) -> Tensor:
        """Return the weights (N, cards) for images (N, 3, H, W)."""

    def reset(self) -> None:
        """Forget what was seen before."""


def card_names(cards: Sequence[Card]) -> tuple[str, ...]:
    """Return a short name for each card: its number from 1, and the domain that it was trained in."""
    return tuple(
        f"{number}. {shown(card.metadata.domain_name or 'card')}"
        for number, card in enumerate(cards, start=1)
    )


@torch.no_grad()
def choices_of(
    deck: Chooser,
    split: Split,
    corruptions: str | Sequence[str] = "common",
    severities: Iterable[int] = SEVERITIES,
    limit: int | None = 200,
    seed: int = 0,
    batch_size: int = 256,
) -> Choices:
    """Measure whom a deck plays when; the cards themselves are not run. See `Deck.plot_choices`."""
    split = checked_split(split)
    names, levels = available_names(corruptions), checked_severities(severities)
    checked_whole("batch size", batch_size, 1)
    indices = split.balanced_sample(len(split) if limit is None else limit, seed)
    conditions = (CLEAN, *((name, level) for name in names for level in levels))
    found = []
    for name, level in conditions:
        deck.reset()
        parts = []
        for start in range(0, len(indices), batch_size):
            some = indices[start : start + batch_size]
            pixels = split.images[some]
            if (name, level) != CLEAN:
                pixels = corrupt(pixels, name, level, seed=seed, indices=some)
            parts.append(deck.choose(to_unit(torch.from_numpy(pixels).to(deck.device))).double().cpu())
        found.append(torch.cat(parts).mean(dim=0).numpy())
    deck.reset()
    return Choices(conditions, card_names(deck.cards), np.stack(found), len(indices), seed)


def choices_chart(
    rows: Sequence[dict[str, Any]], title: str = "", caption: str = "", columns: int | None = None
) -> altair.Chart:
    """Return a chart of a grid for each card, corruptions × severities, as dark as the card is left out.

    Each row has `corruption`, `severity`, `card` and `weight`, in [0, 1]. The grids stand side by side, or
    so many `columns` of them below each other.
    """
    alt = drawing()
    corruptions = list(dict.fromkeys(row["corruption"] for row in rows))
    cards = list(dict.fromkeys(row["card"] for row in rows))
    levels = {row["severity"] for row in rows}
    # The names stand above their grids, side by side.
    cell = max(_CELL, 8 * max(map(len, cards)) // len(levels))
    facet = alt.Facet("card:N", title=None, sort=cards)
    grid: altair.Chart = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_rect()
        .encode(
            x=alt.X("severity:O", title="severity").axis(labelAngle=0),
            y=alt.Y("corruption:N", title=None, sort=corruptions).axis(
                labelExpr="replace(datum.label, /_/g, ' ')"
            ),
            color=alt.Color("weight:Q", title="weight")
            .scale(scheme="viridis", domain=[0, 1])
            .legend(format=".0%", orient="top", gradientLength=160),
            tooltip=["card:N", "corruption:N", "severity:O", alt.Tooltip("weight:Q", format=".1%")],
        )
        .properties(width=cell * len(levels), height=_ROW * len(corruptions))
        .facet(facet=facet, columns=len(cards) if columns is None else columns)
    )
    return in_style(grid, title, caption)


def plot_of(choices: Choices, data: str, title: str) -> altair.Chart:
    """Return the chart of a deck's choices with a caption."""
    caption = caption_of(data, choices.images, choices.seed)
    return choices_chart(choices.rows(), title or "Mean weight of each card", caption)

"""Building a deck on training images, with progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from winninghand.base.device import best_device
from winninghand.base.errors import InputError
from winninghand.base.progress import progress_bar
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.decks.building import Budget, build
from winninghand.decks.fitting import fitting_conditions
from winninghand.decks.gate import GateSettings
from winninghand.images import ImageSet
from winninghand.report.decks import print_built


@dataclass(frozen=True)
class Fitting:
    """What decks are fitted on, whatever their cards."""

    images: ImageSet
    limit: int
    seed: int

    def of(
        self,
        cards: Sequence[Card],
        names: Sequence[str],
        gate: str,
        settings: GateSettings,
        budget: Budget | None,
    ) -> Deck:
        """Return a deck of all cards, or of those chosen for a budget, and say how it was built."""
        for card, name in zip(cards, names, strict=True):
            if card.classes != self.images.classes or card.metadata.input_size != self.images.train.size:
                raise InputError(
                    f"{name} knows other classes or another size than the images of {self.images.name}; "
                    "check --data"
                )
            card.to(best_device())
        total = len(fitting_conditions()) * min(self.limit, len(self.images.train))
        with progress_bar("running the cards", total) as progress:
            built = build(cards, self.images.train, gate, settings, budget, self.limit, self.seed, progress)
        print_built(built, names)
        return built.deck.cpu()

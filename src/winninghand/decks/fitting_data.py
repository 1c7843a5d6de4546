"""What a deck is fitted on: the logits of its cards for the same images, clean and corrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base.device import device_of, images_at_once, to_unit
from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.corruptions import corrupt
from winninghand.decks.gate import GATES
from winninghand.decks.gates.features import FirstStage, first_convolution
from winninghand.images import Split
from winninghand.spectra import log_spectra

Condition = tuple[str, int]
"""A corruption and its severity; (`clean`, 0) are the images as they are."""

CLEAN: Condition = ("clean", 0)

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FittingData:
    """Logits of K cards for M images under S conditions, and what gates see of those images.

    `logits` is float32 (K, S, M, classes), `spectra` float32 (S, M, rows, columns) as in
    `log_spectra`, `labels` int64 (M,). `features` holds for each card statistics of its first convolution,
    float32 (S, M, numbers) as in `FirstStage`; no numbers where it has no such convolution. Everything is
    on the CPU.
    """

    conditions: tuple[Condition, ...]
    logits: Tensor
    spectra: Tensor
    labels: Tensor
    features: tuple[Tensor, ...] = ()

    @property
    def correct(self) -> Tensor:
        """Whether each card is right, bool (K, S, M)."""
        return self.logits.argmax(dim=-1) == self.labels

    def of_cards(self, numbers: Sequence[int]) -> FittingData:
        """Return the data of some of the cards, in the order given."""
        features = tuple(self.features[number] for number in numbers) if self.features else ()
        return FittingData(self.conditions, self.logits[list(numbers)], self.spectra, self.labels, features)

    def of_conditions(self, places: Sequence[int]) -> FittingData:
        """Return the data of some of the conditions, by their places, in the order given."""
        some = list(places)
        conditions = tuple(self.conditions[place] for place in some)
        features = tuple(one[some] for one in self.features)
        return FittingData(conditions, self.logits[:, some], self.spectra[some], self.labels, features)

    def of_images(self, half: int) -> FittingData:
        """Return the data of every second image, from image 0 or 1 on."""
        logits, spectra = self.logits[:, :, half::2], self.spectra[:, half::2]
        features = tuple(one[:, half::2] for one in self.features)
        return FittingData(self.conditions, logits, spectra, self.labels[half::2], features)

    def seen_by(self, gate: str) -> Tensor:
        """Return what a gate of that name sees of the images, (S, M, …); `InputError` where it is lacking."""
        if GATES[gate].inputs != "features":
            return self.spectra
        if not self.features:
            raise InputError(f"what the gate {gate!r} sees was not collected; collect the data again")
        return self.features[0]


@torch.no_grad()
def collect(
    cards: Sequence[Card],
    split: Split,
    indices: Indices,
    conditions: Iterable[Condition],
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
    batch_size: int = 256,
) -> FittingData:
    """Run every card over the images at `indices` under every condition, on the cards' device.

    Images are corrupted as they are in the whole split. `batch_size` is that of images up to 128×128 pixels;
    of larger ones fewer are run at once. `progress` is told the length of each batch done.
    """
    wanted = tuple(conditions)
    at_once = images_at_once(batch_size, 128, split.size)
    parts = [
        _one_batch(cards, split, indices[start : start + at_once], condition, seed, progress)
        for condition in wanted
        for start in range(0, len(indices), at_once)
    ]
    logits, spectra, features = zip(*parts, strict=True)
    by_condition = (len(wanted), len(indices))
    return FittingData(
        wanted,
        torch.cat(logits, dim=1).unflatten(1, by_condition),
        torch.cat(spectra).unflatten(0, by_condition),
        torch.from_numpy(split.labels[indices]),
        tuple(torch.cat(one).unflatten(0, by_condition) for one in zip(*features, strict=True)),
    )


def _one_batch(
    cards: Sequence[Card],
    split: Split,
    indices: Indices,
    condition: Condition,
    seed: int,
    progress: Callable[[int], None],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    pixels = split.images[indices]
    if condition != CLEAN:
        pixels = corrupt(pixels, *condition, seed=seed, indices=indices)
    device = device_of(cards[0])
    images = to_unit(torch.from_numpy(pixels).to(device))
    logits = torch.stack([card(images) for card in cards])
    for number, found in enumerate(logits, start=1):
        if not bool(found.isfinite().all()):
            raise InputError(f"card {number} gives logits that are NaN or infinite under {condition[0]}")
    progress(len(indices))
    return logits.float().cpu(), log_spectra(images).cpu(), _features(cards, images)


def _features(cards: Sequence[Card], images: Tensor) -> list[Tensor]:
    """Return statistics of each card's first convolution; one that cards share is run once."""
    shared: dict[object, Tensor] = {}
    features = []
    for card in cards:
        found = first_convolution(card)
        if found is None:
            features.append(torch.empty(len(images), 0))
            continue
        one = id(found.weight), card.metadata.mean, card.metadata.std
        if one not in shared:
            shared[one] = FirstStage(card)(images).cpu()
        features.append(shared[one])
    return features


@dataclass(frozen=True)
class Diversity:
    """Two cards, numbered from 0, over the corrupted images.

    `disagreement` is the fraction of the images that they answer differently; `error_correlation`
    is the correlation, over the images, of being wrong (Kuncheva & Whitaker 2003).
    """

    cards: tuple[int, int]
    disagreement: float
    error_correlation: float


def diversity(data: FittingData) -> tuple[Diversity, ...]:
    """Return the diversity of every pair of cards."""
    corrupted = [place for place, condition in enumerate(data.conditions) if condition != CLEAN]
    choices = data.logits[:, corrupted].argmax(dim=-1).flatten(1)
    right = data.correct[:, corrupted].flatten(1).float()
    if len(choices) < 2:
        return ()
    # A card that is always right, or never, correlates with nothing.
    correlations = torch.corrcoef(right).nan_to_num(0.0)
    return tuple(
        Diversity(
            (one, other),
            float((choices[one] != choices[other]).float().mean()),
            float(correlations[one, other]),
        )
        for one, other in combinations(range(len(choices)), 2)
    )

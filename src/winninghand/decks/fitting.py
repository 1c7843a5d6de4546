"""Fitting a deck: temperatures of its cards and scores of its gate, on training images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from winninghand.base.deprecation import renamed_arguments
from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.cards.player import check_classes
from winninghand.corruptions import SEVERITIES, corruption_names, missing_corruptions
from winninghand.decks.deck import Deck, make_gate
from winninghand.decks.fitting_data import CLEAN, Condition, FittingData, Indices, collect
from winninghand.decks.gate import GATES, FittedScores, Inputs, gate_settings, ring_shifts
from winninghand.decks.opening import load_deck
from winninghand.images import Split
from winninghand.images.image_set import balanced_sample, checked_split

LIMIT = 1000
"""Number of images that a deck is fitted on by default."""

# With fewer unseen images than this, a thousand images that the cards know serve better: 300 unseen
# ones are as good as those, 125 are not.
_FEWEST_UNSEEN = 300

# Penalty of squared slopes, for shifts in units of their spread. When one of the four corruptions is
# left out, the loss on it is the same to 0.3% for penalties from 10⁻³ to 3·10⁻¹.
_PENALTY = 1e-2

# Penalty of squared differences of the offsets from their mean. Where all cards are nearly always
# right, equal weights are the best guess.
_OFFSET_PENALTY = 1e-3
_ITERATIONS = 200

# What a hand is taken to give to the label where its answer is wrong, and where it is right 1 less this. With
# one of the four corruptions left out, hands chosen so are right more often on it than hands of the least
# expected cross-entropy, or of the mixture's loss: by 1 point for three sets of norms, one active.
_WRONG = 0.05

_TEMPERATURES = (0.05, 20.0)
_HALVINGS = 24


@dataclass(frozen=True)
class FittingImages:
    """Indices of training images to fit on, and whether no card was trained on any of them."""

    indices: Indices
    unseen: bool


def fitting_images(cards: Sequence[Card], split: Split, limit: int = LIMIT, seed: int = 0) -> FittingImages:
    """Return a seeded, class-balanced sample of the validation images that all cards have in common.

    Where these are fewer than 300, it is a sample of all training images.
    """
    validation = [_validation(card, split) for card in cards]
    common = reduce(lambda left, right: np.intersect1d(left, right, assume_unique=True), validation)
    unseen = len(common) >= _FEWEST_UNSEEN
    pool = common if unseen else np.arange(len(split))
    count = min(limit, len(pool))
    return FittingImages(pool[balanced_sample(split.labels[pool], count, seed)], unseen)


def fitting_conditions() -> tuple[Condition, ...]:
    """Return the conditions of fitting: clean, and the corruptions outside the benchmark's fifteen."""
    names = corruption_names("extra")
    missing = missing_corruptions(names)
    return (CLEAN, *((name, level) for name in names if name not in missing for level in SEVERITIES))


@renamed_arguments(advance="progress")
def fit_gate(
    deck: Deck | Path | str,
    split: Split,
    limit: int = LIMIT,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
    fallback: bool = False,
) -> Deck:
    """Return the deck, which may be given by its file, with temperatures and gate fitted on training images.

    With `fallback` the gate's `confidence` is fitted, too: see `with_fitted_confidence`.

    `split` is the training images of the cards' image set; see `fitting_images` and
    `fitting_conditions` for what is used of it. Raises `InputError` where a card does not know
    what clean images look like, and where the split has names of other classes than the deck knows.
    """
    split, deck = checked_split(split), load_deck(deck)
    check_classes(deck, split.classes, "the deck")
    if fallback:
        check_confidence(deck.gate)
    images = fitting_images(deck.cards, split, limit, seed)
    data = collect(deck.cards, split, images.indices, fitting_conditions(), seed, progress)
    return with_fitted_confidence(deck, data) if fallback else fitted(deck, data)


def fitted(deck: Deck, data: FittingData) -> Deck:
    """Return the deck, fitted on these data."""
    temperatures, kind = fit_temperatures(data), GATES[deck.gate]
    if kind.inputs is None or not deck.settings.fits:
        return Deck(deck.cards, deck.gate, deck.settings, temperatures)
    seen = data.seen_by(deck.gate)
    if kind.needs_profiles:
        seen = ring_shifts(seen, [card.profile for card in deck.cards if card.profile is not None])
    hands = make_gate(deck.gate, deck.cards, deck.settings).hands()
    scores = fit_scores(seen, kind.inputs, data, temperatures, hands)
    settings = deck.settings.model_copy(update={"scores": scores})
    return Deck(deck.cards, deck.gate, settings, temperatures)


def with_fitted_confidence(deck: Deck, data: FittingData) -> Deck:
    """Return the deck fitted on these data, its gate's `confidence` chosen on them, too.

    The deck is fitted on every second image, and of 20 thresholds and none the one is taken under which
    it is right most often on the others, corrupted; the lowest of equal ones. Then it is fitted on all.
    Raises `InputError` for a gate without this setting.
    """
    check_confidence(deck.gate)
    half, others = fitted(deck, data.of_images(0)), data.of_images(1)
    accuracies = {
        confidence: corrupted_accuracy(_with_confidence(half, confidence), others)
        for confidence in (None, *(place / 20 for place in range(1, 21)))
    }
    best = max(accuracies, key=lambda confidence: accuracies[confidence])
    return _with_confidence(fitted(deck, data), best)


def check_confidence(gate: str) -> None:
    """Raise `InputError` for a gate that has no `confidence` to be fitted."""
    kinds = [name for name, one in GATES.usable().items() if "confidence" in one.settings_type.model_fields]
    if gate not in kinds:
        raise InputError(
            f"gate {gate!r} has no confidence to fit; leave fallback out or take {', '.join(kinds)}"
        )


def _with_confidence(deck: Deck, confidence: float | None) -> Deck:
    values = {**deck.settings.model_dump(), "confidence": confidence}
    return Deck(deck.cards, deck.gate, gate_settings(deck.gate, values), deck.temperatures.tolist())


def corrupted_accuracy(deck: Deck, data: FittingData) -> float:
    """Return the deck's accuracy over the corrupted images, a fraction; each condition is one batch."""
    accuracies, seen = [], data.seen_by(deck.gate)
    for place, condition in enumerate(data.conditions):
        if condition != CLEAN:
            deck.reset()
            mixed = deck.mixed(data.logits[:, place], deck.weigh(seen[place]))
            accuracies.append((mixed.argmax(dim=1).cpu() == data.labels).float().mean())
    return float(torch.stack(accuracies).mean())


@torch.no_grad()
def fit_temperatures(data: FittingData) -> tuple[float, ...]:
    """Return for each card the temperature of the least cross-entropy (Guo et al. 2017, section 4.2).

    Temperatures lie in 0.05 .. 20. The cross-entropy is convex in 1 / temperature, so that the place
    where its slope turns from negative to positive is found by halving the interval.
    """
    labels = data.labels.repeat(len(data.conditions))
    return tuple(_temperature(logits.flatten(0, 1), labels) for logits in data.logits)


def fit_scores(
    seen: Tensor,
    inputs: Inputs,
    data: FittingData,
    temperatures: Sequence[float],
    hands: Tensor | None = None,
) -> FittedScores:
    """Return the scores whose softmax, as weights of experts, gives the least cross-entropy.

    They are linear in what is `seen` of the images, float (S, M, numbers). The loss is that of a mixture of
    experts (Jacobs et al. 1991) that are fixed, −log Σ w p, with a penalty on the squared slopes. Without
    `hands` the experts are the cards, and p is what a card gives to the label. With `hands` (hands, cards),
    see `Gate.hands`, they are these, and p is 0.95 or 0.05, by whether the mean of a hand's softmaxes is
    right: which hand to play is another question than how to weigh all cards.
    """
    values, cards = seen.flatten(0, 1).double(), len(data.logits)
    mean, spread = values.mean(dim=0), values.std(dim=0).clamp_min(1e-6)
    scaled, experts = (values - mean) / spread, torch.eye(cards) if hands is None else hands
    if hands is None:
        targets = _probabilities_of_labels(data, temperatures)
    else:
        right = _right_hands(data, temperatures, hands)
        targets = (_WRONG + (1 - 2 * _WRONG) * right).log()
    slopes = torch.zeros(values.shape[1], cards, dtype=torch.float64, requires_grad=True)
    offsets = torch.zeros(cards, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([slopes, offsets], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")
    of_experts = experts.T.double()

    def loss() -> Tensor:
        optimizer.zero_grad()
        weights = (torch.addmm(offsets, scaled, slopes) @ of_experts).log_softmax(dim=1)
        penalty = _PENALTY * slopes.square().sum()
        penalty = penalty + _OFFSET_PENALTY * (offsets - offsets.mean()).square().sum()
        value: Tensor = penalty - (weights + targets).logsumexp(dim=1).mean()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    unscaled = slopes.detach() / spread[:, None]
    return FittedScores(
        slopes=tuple(map(tuple, unscaled.T.tolist())),
        offsets=tuple((offsets.detach() - mean @ unscaled).tolist()),
        inputs=inputs,
    )


def _validation(card: Card, split: Split) -> Indices:
    """Return the card's validation images; none where they are not known."""
    fraction = card.metadata.validation_fraction
    if not fraction:
        return np.empty(0, np.int64)
    return split.validation(fraction)[1]


def _temperature(logits: Tensor, labels: Tensor) -> float:
    logits = logits - logits.gather(1, labels[:, None])
    low, high = (math.log(value) for value in _TEMPERATURES)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # The slope of the cross-entropy over 1 / temperature: the mean logit, less that of the label.
        slope = (logits * (logits / math.exp(middle)).softmax(dim=1)).sum(dim=1).mean()
        low, high = (middle, high) if slope > 0 else (low, middle)
    return math.exp((low + high) / 2)


def _right_hands(data: FittingData, temperatures: Sequence[float], hands: Tensor) -> Tensor:
    """Return whether each hand is right on each image, 0 or 1 (S · M, hands)."""
    scales = torch.tensor(temperatures)[:, None, None, None]
    shares = (data.logits / scales).softmax(dim=-1).flatten(1, 2)
    labels = data.labels.repeat(len(data.conditions))
    members = (hands > 0).float().cpu()
    return torch.stack(
        [(torch.tensordot(one, shares, dims=1).argmax(dim=-1) == labels).double() for one in members], dim=1
    )


def _probabilities_of_labels(data: FittingData, temperatures: Sequence[float]) -> Tensor:
    """Return the logarithms (S · M, cards) of what each card gives to each image's label."""
    scales = torch.tensor(temperatures, dtype=torch.float64)[:, None, None, None]
    logarithms = (data.logits.double() / scales).log_softmax(dim=-1)
    labels = data.labels.expand(logarithms.shape[:-1])[..., None]
    return logarithms.gather(-1, labels).squeeze(-1).flatten(1).T.contiguous()

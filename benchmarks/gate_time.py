"""What choosing costs: the time of each gate beside one forward pass of one card, and of a deck beside both.

    python -m benchmarks.gate_time

The card is a ResNet-18 of width 64. Card, gate and deck are timed in turn, so that a busy machine
slows all; single passes go round the cards, as a deck's do; figures are medians.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from itertools import cycle

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from winninghand.cards import Card
from winninghand.decks import GATES, Deck
from winninghand.decks.fitting import FittedScores
from winninghand.decks.gates.features import FirstStage
from winninghand.networks import network
from winninghand.spectra import SpectralProfile
from winninghand.spectra.profile import RINGS

BATCHES = (1, 16, 64)
CARDS = 4
ROUNDS = {1: 60, 16: 15, 64: 7}


@torch.inference_mode()
def main() -> None:
    """Print gate time and deck time as shares of one card's forward pass."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    profiles = [_profile(noise) for noise in (0.0, 0.1)]
    cards = [_card(profiles[number % 2]) for number in range(CARDS)]
    table = Table(title=f"Deck of {CARDS} ResNet-18 cards of width 64 (two domains); medians")
    for column in (
        "gate",
        "batch",
        "rounds",
        "card ms",
        "gate ms",
        "gate / card",
        "active",
        "deck / (active · card)",
    ):
        table.add_column(column, justify="right")
    for gate in GATES:
        for size in BATCHES:
            table.add_row(gate, str(size), str(ROUNDS[size]), *_figures(_deck(cards, gate), size))
    console = Console(width=140)
    console.print(table)
    console.print(f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} thread")


def _profile(noise: float) -> SpectralProfile:
    images = torch.nn.functional.avg_pool2d(torch.rand(64, 3, 32, 32), 5, 1, 2)
    return SpectralProfile.of((images + noise * torch.randn_like(images)).clamp(0, 1), clean=images)


def _card(profile: SpectralProfile) -> Card:
    return Card.from_module(network("resnet18"), list("abcdefghij"), (32, 32), profile=profile)


def _deck(cards: list[Card], gate: str) -> Deck:
    if gate == "average":
        return Deck(cards, gate)
    inputs = GATES[gate].inputs or "rings"
    generator = torch.Generator().manual_seed(0)
    seen = FirstStage(cards[0]).numbers if inputs == "features" else RINGS
    slopes = torch.randn(CARDS, seen, generator=generator)
    rows = tuple(map(tuple, slopes.tolist()))
    scores = FittedScores(slopes=rows, offsets=(0.0,) * CARDS, inputs=inputs)
    return Deck(cards, gate, scores=scores, max_active=2)


def _figures(deck: Deck, size: int) -> list[str]:
    images = torch.rand(size, 3, 32, 32)
    active = float((deck.choose(images) > 0).sum(dim=1).float().mean())
    turn = cycle(deck.cards)
    card, gate, whole = interleaved(
        (lambda: next(turn)(images), lambda: deck.choose(images), lambda: deck(images)), ROUNDS[size]
    )
    ratios = (gate / card, whole / active / card)
    return [
        f"{1000 * card:.2f}",
        f"{1000 * gate:.3f}",
        f"{ratios[0]:.2%}",
        f"{active:.2f}",
        f"{ratios[1]:.3f}",
    ]


def interleaved(
    calls: tuple[Callable[[], Tensor], ...], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return the median seconds of each call by `clock`, all called in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 2):
        for call, taken in zip(calls, times, strict=True):
            started = clock()
            call()
            if number >= 2:
                taken.append(clock() - started)
    return [statistics.median(taken) for taken in times]


if __name__ == "__main__":
    main()

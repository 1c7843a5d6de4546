"""How a deck was built, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from torch import Tensor

from winninghand.decks.building import Built
from winninghand.decks.fitting_data import FittingData, diversity
from winninghand.evaluation import expected_calibration_error
from winninghand.report.terminal import console, say


def print_built(built: Built, names: Sequence[str]) -> None:
    """Print how cards were chosen, how they were calibrated, and how differently they answer."""
    images = len(built.data.labels)
    if built.unseen:
        say(f"fitted on {images} training images that no card was trained on, clean and corrupted")
    else:
        say(
            f"fitted on {images} training images, clean and corrupted. The cards have too few "
            "validation images in common and may know these: their calibration errors are too small"
        )
    if built.steps:
        _print_steps(built, names)
    _print_calibration(built, names)
    _print_diversity(built, names)


def calibration_error(logits: Tensor, labels: Tensor, temperature: float) -> float:
    """Return the expected calibration error, in [0, 1], of logits (N, classes) at a temperature."""
    confidence, choice = (logits / temperature).softmax(dim=1).max(dim=1)
    correct = choice == labels
    return expected_calibration_error(correct.numpy(), confidence.numpy())


def _print_steps(built: Built, names: Sequence[str]) -> None:
    grid = Table(
        "card added", "bytes of the deck, at most", "accuracy, extra corruptions", title="Choice of cards"
    )
    for step in built.steps:
        grid.add_row(names[step.card], f"{step.bytes:,}", f"{step.accuracy:.2%}")
    console.print(grid)


def _print_calibration(built: Built, names: Sequence[str]) -> None:
    grid = Table("card", "temperature", "ECE before", "ECE after", title="Calibration")
    for place, number in enumerate(built.numbers):
        before, after = calibration_errors(built.data, place, built.checked_temperatures[place])
        temperature = float(built.deck.temperatures[place])
        grid.add_row(names[number], f"{temperature:.3f}", f"{before:.2%}", f"{after:.2%}")
    console.print(grid)


def calibration_errors(data: FittingData, card: int, temperature: float) -> tuple[float, float]:
    """Return a card's calibration error at temperature 1 and at another one, on the odd images."""
    odd = data.of_images(1)
    logits, labels = odd.logits[card].flatten(0, 1), odd.labels.repeat(len(odd.conditions))
    return calibration_error(logits, labels, 1.0), calibration_error(logits, labels, temperature)


def _print_diversity(built: Built, names: Sequence[str]) -> None:
    pairs = diversity(built.data)
    if not pairs:
        return
    grid = Table("card", "and card", "disagreement", "correlation of errors", title="Diversity")
    for pair in pairs:
        one, other = (names[built.numbers[place]] for place in pair.cards)
        grid.add_row(one, other, f"{pair.disagreement:.1%}", f"{pair.error_correlation:.2f}")
    console.print(grid)

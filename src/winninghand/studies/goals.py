"""Whether a study's cards and decks are what was hoped for: paired differences, and yes or no."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winninghand.decks import Deck
from winninghand.evaluation import Interval, RobustnessTable, paired_difference
from winninghand.studies.publish import Model

# By how many points a compressed card may lie below its dense network, clean and robust.
_MARGINS = {"lrr": (0.0, 0.0), "bp": (-2.0, -1.0)}

# What an adaptive deck of at most six cards is to gain over its best card, and what it may cost.
_GAIN, _MOST_CARDS, _MOST_PASSES, _SHARE = 1.5, 6, 3.0, 1 / 3


@dataclass(frozen=True)
class Goal:
    """What was hoped for, what was found, and whether the figure itself, not its interval, reaches it."""

    hope: str
    found: str
    met: bool

    def row(self) -> list[str]:
        """Return the goal as a row of a table."""
        return [self.hope, self.found, "met" if self.met else "not met"]


def goals(models: Sequence[Model]) -> tuple[Goal, ...]:
    """Return the goals that a study's models can be held against.

    Shipped cards are compared with the shipped dense network of their architecture and domain on all
    test images, paired by image, and beside that over the seeds that both have on the study's sample; of
    one method the sparsest counts. Decks are compared with the best of their cards on the sample.
    """
    return (*_against_dense(models), *_of_decks(models))


def _against_dense(models: Sequence[Model]) -> Iterator[Goal]:
    dense = [model for model in models if model.method == "dense"]
    for method, margins in _MARGINS.items():
        for reference in dense:
            cards = [
                model for model in models if model.method == method and _place(model) == _place(reference)
            ]
            if not cards:
                continue
            card = max(cards, key=lambda model: model.runs[0].entry.recipe.compression.sparsity)
            for name, margin in zip(("clean", "robust"), margins, strict=True):
                difference = paired_difference(_correct(card.full, name), _correct(reference.full, name))
                yield Goal(
                    f"{card.name}: {name} accuracy at least that of its dense network"
                    f"{f' less {-margin:g} points' if margin else ''}",
                    f"{_points(difference)}{_over_seeds(card, reference, name)}",
                    100 * difference.mean >= margin,
                )


def _of_decks(models: Sequence[Model]) -> Iterator[Goal]:
    for model in models:
        if not isinstance(model.player, Deck) or len(model.player.cards) > _MOST_CARDS:
            continue
        # Pruned weights are parameters too, so that any card counts what its dense network has.
        whole = 4 * sum(weight.numel() for weight in model.player.cards[0].parameters())
        best = max(model.runs, key=lambda run: run.table.robust_accuracy)
        gain = paired_difference(model.table.robust_correct, best.table.robust_correct)
        passes = model.table.mean_passes
        yield Goal(
            f"{model.name}: at least {_GAIN:g} points of robust accuracy above its best card, "
            f"at most {_MOST_PASSES:g} passes",
            f"{_points(gain)} at {passes:.2f} passes, on {len(model.table.clean.correct):,} images",
            100 * gain.mean >= _GAIN and passes <= _MOST_PASSES,
        )
        yield Goal(
            f"{model.name}: smaller than a third of one dense fp32 network",
            f"{model.bytes:,} of {whole:,} bytes, {model.bytes / whole:.1%}",
            model.bytes < _SHARE * whole,
        )


def _over_seeds(first: Model, second: Model, name: str) -> str:
    """Say by how much the first exceeds the second over their common seeds, where there are several."""
    tables = [{run.entry.recipe.seed: run.table for run in model.runs} for model in (first, second)]
    seeds = tables[0].keys() & tables[1].keys()
    if len(seeds) < 2:
        return ""
    means = [np.mean([_correct(by_seed[seed], name) for seed in seeds], axis=0) for by_seed in tables]
    return f"; over {len(seeds)} seeds on {len(means[0]):,} images {_points(paired_difference(*means))}"


def _correct(table: RobustnessTable, name: str) -> npt.NDArray[np.float64]:
    correct = table.clean.correct if name == "clean" else table.robust_correct
    return correct.astype(np.float64)


def _points(interval: Interval) -> str:
    return f"{100 * interval.mean:+.2f} ({100 * interval.low:+.2f} to {100 * interval.high:+.2f})"


def _place(model: Model) -> tuple[object, ...]:
    """Return what a card shares with the dense network that it is compared with."""
    recipe = model.runs[0].entry.recipe
    return recipe.network, recipe.domain["name"]

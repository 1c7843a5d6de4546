"""What is claimed of a study's models, and whether it holds: paired differences over its results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from winninghand.base.errors import counted
from winninghand.evaluation import paired_difference
from winninghand.results import Claim, Results, RunResult

# By how many points a compressed card may lie below its dense network, clean and robust.
_MARGINS = {"lrr": (0.0, 0.0), "bp": (-2.0, -1.0)}

# What an adaptive deck of at most six cards is to gain over its best card, and what it may cost.
_GAIN, _MOST_CARDS, _MOST_PASSES, _SHARE = 1.5, 6, 3.0, 1 / 3


def claims(results: Results) -> tuple[Claim, ...]:
    """Return the claims that a study's models can be held against.

    Published cards are compared with the published dense network of their architecture and domain on all
    test images, paired by image. Beside that stands the difference over the seeds that both have, on the
    study's sample. Of one method the sparsest card counts. Decks are compared with the best of their cards
    on the sample.
    """
    return (*_against_dense(results), *_of_decks(results))


def _against_dense(results: Results) -> Iterator[Claim]:
    cards = [run for run in results.measured if (run.about.kind, run.about.measured_on) == ("card", "all")]
    for method, margins in _MARGINS.items():
        for dense in (card for card in cards if card.about.method == "dense"):
            rivals = [card for card in cards if card.about.method == method and _place(card) == _place(dense)]
            if not rivals:
                continue
            card = max(rivals, key=lambda one: one.about.sparsity or 0.0)
            for name, margin in zip(("clean", "robust"), margins, strict=True):
                difference = paired_difference(_correct(card, name), _correct(dense, name))
                yield Claim(
                    f"{card.name}: {name} accuracy at least that of its dense network"
                    f"{f' less {-margin:g} points' if margin else ''}",
                    f"{difference.in_points}{_over_seeds(results, card, dense, name)}",
                    100 * difference.mean >= margin,
                )


def _of_decks(results: Results) -> Iterator[Claim]:
    for deck in results.measured:
        about = deck.about
        if (about.kind, about.measured_on) != ("deck", "study") or len(about.members) > _MOST_CARDS:
            continue
        members = _members(results, deck)
        best = max(members, key=lambda run: run.robust_accuracy)
        gain = paired_difference(deck.robust_correct, best.robust_correct)
        yield Claim(
            f"{deck.name}: at least {_GAIN:g} points of robust accuracy above its best card, "
            f"at most {_MOST_PASSES:g} passes",
            f"{gain.in_points} at {deck.mean_passes:.2f} passes, on {deck.images:,} images",
            100 * gain.mean >= _GAIN and deck.mean_passes <= _MOST_PASSES,
        )
        # Pruned weights are parameters too, so that any card counts what its dense network has.
        whole, size = 4 * (members[0].about.parameters or 0), about.bytes or 0
        yield Claim(
            f"{deck.name}: smaller than a third of one dense fp32 network",
            f"{size:,} of {whole:,} bytes, {size / whole:.1%}",
            size < _SHARE * whole,
        )


def _members(results: Results, model: RunResult) -> list[RunResult]:
    """Return the runs that a published model stands for, as the study measured them."""
    by_name = {run.name: run for run in results.finished}
    return [by_name[name] for name in model.about.members]


def _over_seeds(results: Results, first: RunResult, second: RunResult, name: str) -> str:
    """Say by how much the first exceeds the second over their common seeds, where there are several."""
    runs = [{run.about.seed: run for run in _members(results, model)} for model in (first, second)]
    seeds = runs[0].keys() & runs[1].keys()
    if len(seeds) < 2:
        return ""
    means = [np.mean([_correct(by_seed[seed], name) for seed in seeds], axis=0) for by_seed in runs]
    difference = paired_difference(*means)
    return f"; over {len(seeds)} seeds on {counted(len(means[0]), 'image')} {difference.in_points}"


def _correct(run: RunResult, name: str) -> npt.NDArray[np.float64]:
    correct = run.clean.correct if name == "clean" else run.robust_correct
    return correct.astype(np.float64)


def _place(run: RunResult) -> tuple[object, ...]:
    """Return what a card shares with the dense network that it is compared with."""
    recipe = run.about.recipe or {}
    return recipe["network"], recipe["domain"]["name"]

"""How near the corruptions come to the reference's: writes the tables in `docs/corruptions.md` anew.

The reference's outputs, its statistics and the test images are looked for in `../shared`, as the
tests do. Ten seeds take about a minute for CIFAR-10-C, and as long for C-bar.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from tests.corruptions.bar_draws import BAR, IMAGENET_BAR, corrupted
from tests.corruptions.corruption_statistics import (
    BAND,
    BAR_REFERENCE,
    LARGE_REFERENCES,
    REFERENCE,
    deviations,
    is_outside,
    load_test_images,
    reference_statistics,
    statistics_of,
)
from tests.corruptions.published_draws import ORDER
from tests.corruptions.published_draws import corrupted as published_draw
from winninghand.corruptions import CORRUPTIONS, SEVERITIES, corrupt

PAGE = Path("docs/corruptions.md")
BEGIN, END = "<!-- begin of the tables -->", "<!-- end of the tables -->"
BEGIN_LARGE = "<!-- begin of the tables at 64 and 224 pixels -->"
END_LARGE = "<!-- end of the tables at 64 and 224 pixels -->"
BEGIN_BAR, END_BAR = "<!-- begin of the tables of C-bar -->", "<!-- end of the tables of C-bar -->"

Statistics = dict[str, np.ndarray]
Cell = tuple[str, int]
Reference = Mapping[str, np.ndarray]


def main() -> None:
    """Measure, print what was measured and put it into the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--only", choices=["common", "large", "bar"], help="one part of the tables")
    chosen = options.parse_args()
    if chosen.only in (None, "large"):
        _put([*large_tables()], BEGIN_LARGE, END_LARGE)
    if chosen.only in (None, "common"):
        _put([*deterministic_table(), "", *stochastic_tables(chosen.seeds)], BEGIN, END)
    if chosen.only in (None, "bar"):
        _put([*same_draws_table(), "", *bar_tables(chosen.seeds)], BEGIN_BAR, END_BAR)


def _put(lines: list[str], begin: str, end: str) -> None:
    """Print lines and put them into the page between two marks."""
    Console().print("\n".join(lines), markup=False, soft_wrap=True)
    before, rest = PAGE.read_text().split(begin)
    after = rest.split(end)[1]
    PAGE.write_text("\n".join([f"{before}{begin}", "", *lines, "", f"{end}{after}"]))


def deterministic_table() -> Iterator[str]:
    """Yield the table of differences from the reference's pixels."""
    yield "Deterministic: difference from the reference in levels of 255, over 24 images; largest, mean,"
    yield "and the share of values that differ."
    yield ""
    yield _row("corruption", *(f"severity {level}" for level in SEVERITIES))
    yield _row("---", *(["---:"] * len(SEVERITIES)))
    with np.load(REFERENCE) as reference:
        for name in _names(deterministic=True):
            if name in BAR:
                continue
            cells = []
            for level in SEVERITIES:
                found = corrupt(reference["clean"], name, level).astype(int)
                difference = np.abs(found - reference[f"{name}_{level}"])
                cells.append(f"{difference.max()}; {difference.mean():.1g}; {(difference > 0).mean():.3%}")
            yield _row(name, *cells)


def large_tables() -> Iterator[str]:
    """Yield the tables of differences from ImageNet-C's and Tiny-ImageNet-C's pixels."""
    for side, path in LARGE_REFERENCES.items():
        with np.load(path) as reference:
            count = len(reference["clean"])
            yield f"At {side} pixels, {count} photographs, some cells one: values that differ from the"
            yield "reference's, under its own draws where it draws; none differs by more than one level."
            yield "In brackets, the share that differs where the severity is shifted by one, the smaller one."
            yield ""
            yield _row("corruption", *(f"severity {level}" for level in SEVERITIES))
            yield _row("---", *(["---:"] * len(SEVERITIES)))
            for name in ORDER:
                if CORRUPTIONS[name].family != "noise":
                    yield _row(name, *(_shares(reference, name, level) for level in SEVERITIES))
            yield ""
            yield "Noise: the RMSE from the clean images over the reference's; in brackets, that of the"
            yield "severity that is nearest to it."
            yield ""
            yield _row("corruption", *(f"severity {level}" for level in (1, 3, 5)))
            yield _row("---", *(["---:"] * 3))
            for name in ORDER:
                if CORRUPTIONS[name].family == "noise":
                    yield _row(name, *(_strengths(reference, name, level) for level in (1, 3, 5)))
            yield ""


def _made(reference: Reference, name: str, level: int, count: int) -> np.ndarray:
    """Return the library's images of a cell, with the reference's draws where it draws."""
    images = reference["clean"][:count]
    drawn = not CORRUPTIONS[name].deterministic and CORRUPTIONS[name].family != "noise"
    return published_draw(images, name, level, 1) if drawn else corrupt(images, name, level)


def _shares(reference: Reference, name: str, level: int) -> str:
    if f"{name}_{level}" not in reference:
        return ""
    known = reference[f"{name}_{level}"].astype(int)
    near = [other for other in (level, level - 1, level + 1) if other in SEVERITIES]
    own, *others = (np.abs(_made(reference, name, other, len(known)) - known) for other in near)
    if own.max() > 1:
        raise ValueError(f"{name} {level} is {own.max()} levels off")
    return f"{(own > 0).mean():.3%} ({min((one > 0).mean() for one in others):.0%})"


def _strengths(reference: Reference, name: str, level: int) -> str:
    known = reference[f"{name}_{level}"]
    clean = reference["clean"][: len(known)].astype(float)
    near = [other for other in (level, level - 1, level + 1) if other in SEVERITIES]
    errors = [
        np.sqrt(((images - clean) ** 2).mean())
        for images in (known, *(_made(reference, name, other, len(known)) for other in near))
    ]
    own, *others = (error / errors[0] for error in errors[1:])
    return f"{own:.3f} ({min(others, key=lambda ratio: abs(np.log(ratio))):.2f})"


def same_draws_table() -> Iterator[str]:
    """Yield the table of differences from C-bar's pixels under C-bar's own draws."""
    yield "Under the benchmark's draws: values that differ from the reference's, 24 images under two seeds;"
    yield "none differs by more than one level."
    yield ""
    yield _row("corruption", "severity 1", "severity 3", "severity 5")
    yield _row("---", "---:", "---:", "---:")
    with np.load(BAR_REFERENCE) as reference:
        for name in (*BAR, *IMAGENET_BAR):
            shares = []
            for level in (1, 3, 5):
                found = np.stack([corrupted(reference["clean"], name, level, seed) for seed in (0, 1)])
                known = np.stack([reference[f"{name}_{level}_seed{seed}"] for seed in (0, 1)])
                differences = np.abs(found.astype(int) - known)
                if differences.max() > 1:
                    raise ValueError(f"{name} {level} is {differences.max()} levels off")
                shares.append(f"{(differences > 0).mean():.3%}")
            yield _row(name, *shares)


def stochastic_tables(seeds: int) -> Iterator[str]:
    """Yield the table of differences from CIFAR-10-C's statistics, and that of fresh seeds."""
    names = [name for name in _names(deterministic=False) if CORRUPTIONS[name].group in ("common", "extra")]
    measured = _measured(names, seeds)
    yield f"Stochastic, over 300 images: the mean over {seeds} seeds against the reference's mean over 8; in"
    yield "brackets, how far apart the reference's own seeds 1 and 2 lie. Moments in per cent of the"
    yield "reference's, the largest over the channels; spectra as the largest difference of log₁₀ power over"
    yield "16 rings."
    yield ""
    yield _row("cell", "mean RMSE", "channel means", "channel spreads", "spectrum", "residual's spectrum")
    yield _row("---", *(["---:"] * 5))
    for cell, found in measured.items():
        yield _row(f"{cell[0]} {cell[1]}", *_differences(found, cell))
    yield ""
    yield from _fresh_seeds(measured, seeds)


def bar_tables(seeds: int) -> Iterator[str]:
    """Yield the table of differences from C-bar's statistics, and that of fresh seeds."""
    names = [name for name in _names(deterministic=False) if name in BAR]
    measured = _measured(names, seeds)
    yield f"Under the library's draws, over 300 images: how far the mean over {seeds} seeds lies from the"
    yield "reference's mean over 8, the largest over the five severities, in units of the reference's"
    yield "seed-to-seed spread."
    yield ""
    kinds = {
        "mean RMSE": "rmse_mean",
        "changed pixels": "changed",
        "channel means": "ch_mean",
        "channel spreads": "ch_std",
        "correlation of channels": "res_chcorr_per_image",
        "spectrum": "lpsd",
        "residual's spectrum": "res_lpsd",
    }
    yield _row("corruption", *kinds)
    yield _row("---", *(["---:"] * len(kinds)))
    for name in names:
        far = [_mean_deviations(measured[name, level], f"{name}_{level}") for level in SEVERITIES]
        yield _row(name, *(f"{max(cell[key] for cell in far):.1f}" for key in kinds.values()))
    yield ""
    yield from _fresh_seeds(measured, seeds)


def _measured(names: list[str], seeds: int) -> dict[Cell, list[Statistics]]:
    images = load_test_images()
    return {
        (name, level): [
            statistics_of(images, corrupt(images, name, level, seed=seed)) for seed in range(seeds)
        ]
        for name in names
        for level in SEVERITIES
    }


def _mean_deviations(found: list[Statistics], cell: str) -> dict[str, float]:
    """Return how far the mean over seeds lies from the reference's, as `deviations` does."""
    means = {key: np.mean([statistics[key] for statistics in found], axis=0) for key in found[0]}
    return deviations(means, reference_statistics()[cell])


def _fresh_seeds(measured: dict[Cell, list[Statistics]], seeds: int) -> Iterator[str]:
    """Yield the table of single seeds."""
    yield f"Fresh seeds: how many of the {len(measured)} cells leave the 4σ band in any of their statistics,"
    yield "and the farthest that any statistic lies from the reference, in units of its seed-to-seed spread."
    yield ""
    yield _row("seed", "cells outside", "farthest", "severities shifted by one that are noticed")
    yield _row("---", "---:", "---:", "---:")
    for seed in range(seeds):
        yield _fresh_seed({cell: found[seed] for cell, found in measured.items()}, seed)


def _differences(found: list[Statistics], cell: Cell) -> Iterator[str]:
    """Yield what one cell's row says of each kind of statistic."""
    reference = reference_statistics()[f"{cell[0]}_{cell[1]}"]
    own = reference["d12"]
    for key, apart in (("rmse_mean", "rmse_mean_rel"), ("ch_mean", "ch_mean_rel"), ("ch_std", "ch_std_rel")):
        expected = np.array(reference["mean8"][key])
        mean = np.mean([statistics[key] for statistics in found], axis=0)
        yield f"{np.abs(mean / expected - 1).max():.2%} ({own[apart]:.2%})"
    for key, apart in (("lpsd", "lpsd_abs"), ("res_lpsd", "res_lpsd_abs")):
        mean = np.mean([statistics[key] for statistics in found], axis=0)
        yield f"{np.abs(mean - np.array(reference['mean8'][key])).max():.3f} ({own[apart]:.3f})"


def _fresh_seed(found: dict[Cell, Statistics], seed: int) -> str:
    """Return the row of one seed."""
    reference = reference_statistics()
    own = {
        cell: deviations(statistics, reference[f"{cell[0]}_{cell[1]}"]) for cell, statistics in found.items()
    }
    outside = [f"{name} {level}" for (name, level), values in own.items() if is_outside(values)]
    farthest = max(max(values.values()) for values in own.values())
    shifted = [
        is_outside(deviations(statistics, reference[f"{name}_{other}"]))
        for (name, level), statistics in found.items()
        for other in (level - 1, level + 1)
        if other in SEVERITIES
    ]
    cells = f"{len(outside)}" + (f" ({', '.join(outside)})" if outside else "")
    return _row(str(seed), cells, f"{farthest:.1f} (band {BAND:.1f})", f"{sum(shifted)} of {len(shifted)}")


def _names(deterministic: bool) -> list[str]:
    return [name for name in CORRUPTIONS if CORRUPTIONS[name].deterministic == deterministic]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()

"""Six methods at two sparsities beside the dense network: clean and robust accuracy over seeds.

Every method trains for the same number of epochs in all. Runs that are finished are not repeated:
the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import winninghand as wh
from winninghand.files import written_whole
from winninghand.recipe import make_recipe

METHODS = ("ft", "gmp", "lth", "lrr", "ep", "bp")
ROUNDS = 3
COLUMNS = ("method", "sparsity", "clean accuracy, %", "robust accuracy, %")


def main() -> None:
    """Train and measure what is missing, and print the table in Markdown."""
    chosen = _options().parse_args()
    images = wh.load_images(chosen.data, root=chosen.root)
    if chosen.images is not None:
        few = images.train.balanced_sample(chosen.images, seed=0)
        images = replace(images, train=images.train.take(few))
    rows = [("dense", 0.0), *((method, sparsity) for sparsity in chosen.sparsities for method in METHODS)]
    measured = {row: [_measured(images, *row, seed, chosen) for seed in range(chosen.seeds)] for row in rows}
    print(
        f"{chosen.network} of width {chosen.width} on {len(images.train):,} images of {chosen.data}, "
        f"{chosen.epochs} epochs in all, {chosen.seeds} seeds (mean ± standard deviation); "
        f"{min(chosen.limit, len(images.test)):,} test images, corruptions: common.\n"
    )
    print(f"| {' | '.join(COLUMNS)} |\n| --- | ---: | ---: | ---: |")
    for (method, sparsity), results in measured.items():
        cells = [_spread([result[figure] for result in results]) for figure in ("clean", "robust")]
        print(f"| {method} | {sparsity:.0%} | {' | '.join(cells)} |")


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", default="cifar10")
    options.add_argument("--root", type=Path)
    options.add_argument("--out", type=Path, default=Path("runs/methods"))
    options.add_argument("--network", default="resnet20")
    options.add_argument("--width", type=int, default=16)
    options.add_argument("--domain", default="clean")
    options.add_argument("--epochs", type=int, default=24, help="in all, a multiple of 4")
    options.add_argument("--batch", type=int, default=128)
    options.add_argument("--learning-rate", type=float, default=0.1)
    options.add_argument("--sparsities", type=float, nargs="+", default=[0.8, 0.95])
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--images", type=int, help="train on a balanced sample of so many")
    options.add_argument("--limit", type=int, default=1000, help="test images")
    return options


def _measured(
    images: wh.ImageSet, method: str, sparsity: float, seed: int, chosen: argparse.Namespace
) -> dict[str, float]:
    """Return clean and robust accuracy of one run, trained and measured unless it has been."""
    folder = chosen.out / f"{method}-{sparsity:g}-{seed}"
    card = wh.train(make_recipe(_recipe(method, sparsity, seed, chosen)), images, folder)
    path = folder / f"accuracy-{chosen.limit}.json"
    if not path.exists():
        table = wh.evaluate(card, images.test, limit=chosen.limit)
        figures = {"clean": table.clean_accuracy, "robust": table.robust_accuracy}
        with written_whole(path) as aside:
            aside.write_text(json.dumps(figures), encoding="utf-8")
    result: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return result


def _recipe(method: str, sparsity: float, seed: int, chosen: argparse.Namespace) -> dict[str, Any]:
    phases = {"ft": 2, "lth": ROUNDS + 1, "lrr": ROUNDS + 1}.get(method, 1)
    return {
        "network": {"name": chosen.network, "width": chosen.width},
        "domain": chosen.domain,
        "seed": seed,
        "compression": {
            "method": method,
            "sparsity": sparsity,
            "fraction_per_round": 1 - (1 - sparsity) ** (1 / ROUNDS) if sparsity else 0.2,
            "rewind_epoch": 1.0 if method == "lth" else 0.0,
        },
        "training": {
            "epochs": max(chosen.epochs // phases, 2),
            "batch_size": chosen.batch,
            "learning_rate": chosen.learning_rate,
        },
    }


def _spread(fractions: list[float]) -> str:
    spread = f" ± {100 * stdev(fractions):.1f}" if len(fractions) > 1 else ""
    return f"{100 * mean(fractions):.1f}{spread}"


if __name__ == "__main__":
    main()

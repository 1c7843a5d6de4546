"""Cards that were pruned by different budgets: what they know, and how long the engine takes for them.

    python -m benchmarks.budgets --plan DENSE REFERENCE
    python -m benchmarks.budgets NAME=CARD ... --data cifar10 --root ROOT --out DIR

With `--plan` it prints the sparsity at which each budget, choosing among the weights of the card DENSE,
leaves as much time as the card REFERENCE takes: the sum of its non-zero weights times what one costs the
engine in its layer. What is then trained by these settings is compared by the second form. It measures times
of all cards in turn, on `--threads` threads and batches of `--batch` images, and accuracies of `--limit` test
images, clean and under the common corruptions. Differences of robust accuracy are to the first card, in pairs
of images, with their 95% interval.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.tables import arguments, document, show, write
from winninghand.base.progress import progress_bar
from winninghand.compression.budget import DISTRIBUTIONS, Budget
from winninghand.compression.patterns import Blocks
from winninghand.compression.prunable import weight_costs
from winninghand.corruptions import SEVERITIES
from winninghand.decks import load_card
from winninghand.engine.costs import measure_costs
from winninghand.evaluation import available, evaluate, paired_difference
from winninghand.images import load_images
from winninghand.runtimes.compiling import compile as compiled
from winninghand.runtimes.speed import like_photographs, machine, timed

COLUMNS = (
    "budget",
    "weights removed",
    "M multiplications",
    "ms",
    "ms in bytes",
    "clean",
    "robust",
    "− first",
)
_CALIBRATION = 64
_HALVINGS = 14


def plan(dense: str, reference: str) -> None:
    """Print the sparsity of each budget that takes as much of the engine's time as a card does."""
    source, aim = load_card(dense), load_card(reference)
    weights = {name: source.network.get_parameter(name) for name in source.metadata.prunable}
    places = weight_costs(source.network, weights, source.input_size)
    costs = measure_costs(source.network, source.input_size)
    budgets = {
        "global": Budget(),
        "uniform": Budget("layerwise"),
        "erk": Budget("layerwise", DISTRIBUTIONS["erk"]),
        "macs": Budget(costs=places),
        "engine": Budget(costs=costs),
        "block4": Budget(pattern=Blocks()),
        "block4, engine": Budget(pattern=Blocks(), costs=costs),
    }

    def microseconds(kept: dict[str, torch.Tensor]) -> float:
        return sum(costs[name] * int(mask.count_nonzero()) for name, mask in kept.items()) / 1e6

    wanted = microseconds({name: aim.network.get_parameter(name) for name in weights})
    rows = []
    for name, budget in budgets.items():
        low, high = 0.0, 0.9995
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            slower = microseconds(budget.choose(weights, middle)) > wanted
            low, high = (middle, high) if slower else (low, middle)
        masks = budget.choose(weights, high)
        kept = sum(int(mask.sum()) for mask in masks.values())
        total = sum(mask.numel() for mask in masks.values())
        work = sum(places[layer] * int(mask.sum()) for layer, mask in masks.items())
        rows.append([name, f"{high:.4f}", f"{1 - kept / total:.2%}", f"{work / 1e6:.2f}"])
    whole = microseconds({name: torch.ones_like(weight) for name, weight in weights.items()})
    title = f"{wanted:.1f} µs an image, of {whole:.1f} µs with all weights; one thread"
    show(title, ("budget", "sparsity", "weights removed", "M multiplications"), rows)


@dataclass(frozen=True)
class _Wanted:
    cards: list[str]
    data: str
    root: Path | None
    out: Path
    limit: int
    batch: int
    threads: int


def compare(wanted: _Wanted) -> None:
    """Print and write the table of trained cards."""
    cards = dict(text.split("=", 1) for text in wanted.cards)
    opened = {name: load_card(path) for name, path in cards.items()}
    first = next(iter(opened.values()))
    ways = {}
    for name, card in opened.items():
        ways[name] = compiled(card, wanted.threads).answer
        shown = like_photographs(_CALIBRATION, card)
        ways[f"{name} in bytes"] = compiled(card, wanted.threads, shown).answer
    speeds = {speed.runtime: speed for speed in timed(ways, like_photographs(wanted.batch, first))}
    split = load_images(wanted.data, root=wanted.root).test
    tables = []
    for name, card in opened.items():
        cells = 1 + len(SEVERITIES) * len(available("common")[0])
        with progress_bar(name, cells * wanted.limit) as progress:
            tables.append(evaluate(card, split, "common", limit=wanted.limit, progress=progress))
    rows = []
    for (name, card), table in zip(opened.items(), tables, strict=True):
        counts = card.inspect()
        weights = {layer.name: card.network.get_parameter(layer.name) for layer in counts.layers}
        places = weight_costs(card.network, weights, card.input_size)
        work = sum(places[layer.name] * layer.nonzero for layer in counts.layers)
        times = [speeds[way] for way in (name, f"{name} in bytes")]
        rows.append(
            [
                name,
                f"{counts.sparsity:.2%}",
                f"{work / 1e6:.2f}",
                *(f"{one.milliseconds:.3f}{'' if one.quiet else '*'}" for one in times),
                f"{table.clean_accuracy:.2%}",
                f"{table.robust_accuracy:.2%}",
                paired_difference(table.robust_correct, tables[0].robust_correct).in_points,
            ]
        )
    what = ", ".join(f"{key} {value}" for key, value in machine(wanted.threads).items())
    title = (
        f"{wanted.data}: {wanted.limit:,} test images; medians for {wanted.batch} images, "
        f"* where other processes disturbed them; {what}; {platform.machine()}"
    )
    show(title, COLUMNS, rows)
    write(wanted.out, {"budgets.md": document(title, (COLUMNS, rows))})


def main() -> None:
    """Plan, or compare."""

    if sys.argv[1:2] == ["--plan"] and len(sys.argv) == 4:
        plan(*sys.argv[2:])
        return
    parser = arguments(__doc__)
    parser.add_argument("cards", nargs="+", metavar="NAME=CARD")
    parser.add_argument("--limit", type=int, default=1000, help="test images, class by class")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    compare(_Wanted(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()

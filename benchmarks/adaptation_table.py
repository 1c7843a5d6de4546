"""The rival of decks, batch-norm adaptation: by order of the images and batch size, beside the models alone.

    python -m benchmarks.adaptation_table card=a.card deck=a.deck --data cifar10 --root ROOT --out DIR

A model of one card is measured as it is and adapted; a deck as it is. In batches of one image no order
matters. Rows that were measured are kept in DIR.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.tables import arguments, document, show, write
from winninghand.base.files import atomic_write
from winninghand.base.progress import progress_bar
from winninghand.corruptions import SEVERITIES
from winninghand.decks import load, with_bn_adaptation
from winninghand.evaluation import available, evaluate, paired_difference
from winninghand.evaluation.orders import Order
from winninghand.images import Split, load_images

Values = npt.NDArray[np.float64]
COLUMNS = ("player", "order", "batch", "clean", "robust", "− first player, 95% interval")
SIZES = (256, 16, 1)
ORDERED: tuple[Order, ...] = ("cells", "mixed", "gradual")


@dataclass(frozen=True)
class Way:
    """One player under one way for images to arrive; without a prior it does not adapt."""

    name: str
    model: str
    prior: float | None
    order: Order
    size: int

    @property
    def file(self) -> str:
        """The name of the file that its accuracies are kept in."""
        prior = "alone" if self.prior is None else f"prior{self.prior:g}"
        return f"{self.name}-{prior}-{self.order}-{self.size}"


def main() -> None:
    """Print and write the table."""
    wanted = _wanted()
    torch.set_num_threads(1)
    split = load_images(wanted.data, root=wanted.root).test
    ways = list(_ways(wanted))
    found = [_measured(way, split, wanted) for way in ways]
    rows = []
    for way, (clean, robust) in zip(ways, found, strict=True):
        rows.append(
            [
                way.name if way.prior is None else f"{way.name}, adapted, prior {way.prior:g}",
                way.order if way.size > 1 else "any",
                str(way.size) if way.prior is not None else "any",
                f"{clean.mean():.2%}",
                f"{robust.mean():.2%}",
                paired_difference(robust, found[0][1]).in_points,
            ]
        )
    title = (
        f"{wanted.data}: {len(found[0][0]):,} test images, `{wanted.corruptions}`, all severities; "
        f"{platform.machine()}, torch {torch.__version__}"
    )
    show(title, COLUMNS, rows)
    write(wanted.out, {f"adaptation-{wanted.corruptions}.md": document(title, (COLUMNS, rows))})


def _ways(wanted: _Wanted) -> Iterator[Way]:
    for player in wanted.players:
        name, model = player.split("=", 1)
        yield Way(name, model, None, "cells", 256)
        if load(model).kind == "deck":
            continue
        for size in SIZES:
            for order in ORDERED if size > 1 else ORDERED[:1]:
                yield Way(name, model, wanted.prior, order, size)


def _measured(way: Way, split: Split, wanted: _Wanted) -> tuple[Values, Values]:
    """Return each image's clean accuracy, and its mean over the cells."""
    place = wanted.out / f"{wanted.corruptions}-{wanted.limit}-{way.file}.json"
    if not place.exists():
        model = load(way.model)
        player = model if way.prior is None else with_bn_adaptation(model, way.prior)
        cells = 1 + len(SEVERITIES) * len(available(wanted.corruptions)[0])
        with progress_bar(way.file, cells * wanted.limit) as progress:
            table = evaluate(
                player,
                split,
                wanted.corruptions,
                limit=wanted.limit,
                batch_size=way.size,
                order=way.order,
                progress=progress,
            )
        values = {
            "way": asdict(way),
            "clean": table.clean.correct.astype(int).tolist(),
            "robust": table.robust_correct.tolist(),
        }
        with atomic_write(place) as tmp:
            tmp.write_text(json.dumps(values), encoding="utf-8")
    kept = json.loads(place.read_text(encoding="utf-8"))
    return np.array(kept["clean"], dtype=np.float64), np.array(kept["robust"])


@dataclass(frozen=True)
class _Wanted:
    players: list[str]
    data: str
    root: Path | None
    out: Path
    corruptions: str
    limit: int
    prior: float


def _wanted() -> _Wanted:
    parser = arguments(__doc__)
    parser.add_argument("players", nargs="+", metavar="NAME=MODEL")
    parser.add_argument("--corruptions", default="common")
    parser.add_argument("--limit", type=int, default=1000, help="test images, class by class")
    parser.add_argument("--prior", type=float, default=16.0, help="images that stored statistics count for")
    return _Wanted(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()

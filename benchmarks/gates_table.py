"""Every gate on the same cards: robust accuracy, passes and bytes, and who plays when.

    python -m benchmarks.gates_table FOLDER_OF_CARDS --data cifar10 --root ../shared/data --out DIR

Decks are fitted on training images under the four extra corruptions, measured on test images under
the fifteen. Every card answers once; the answers on the test images are kept in DIR.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from benchmarks.gate_study import Batches, GateStudy, Row, play, rows
from benchmarks.tables import arguments, document, show, write
from winninghand.base.charts import caption_of, svg
from winninghand.base.files import atomic_write
from winninghand.base.progress import progress_bar
from winninghand.cards import Card
from winninghand.corruptions import SEVERITIES
from winninghand.decks import Deck, load_card, with_bn_adaptation
from winninghand.decks.building import Built, build
from winninghand.decks.choices import choices_chart
from winninghand.decks.fitting import fitted
from winninghand.decks.fitting_data import CLEAN, Condition, FittingData, collect
from winninghand.decks.gate import gate_settings
from winninghand.evaluation import available
from winninghand.images import ImageSet, Split, load_images
from winninghand.report.decks import print_built
from winninghand.report.terminal import console

COLUMNS = (
    "player",
    "batches",
    "clean",
    "robust",
    "− average, 95% interval",
    "best card per cell −",
    "passes",
    "kB",
)


@dataclass(frozen=True)
class Wanted:
    """What the command line asked for; `adapt` is the prior of the rival, batch-norm adaptation."""

    cards: Path
    data: str
    root: Path | None
    out: Path
    limit: int
    fit: int
    most: int
    adapt: float | None


def main() -> None:
    """Print and write the table of gates."""
    wanted = _wanted()
    torch.set_num_threads(1)
    paths = sorted(wanted.cards.rglob("*.card"))
    images = load_images(wanted.data, root=wanted.root)
    cards = [load_card(path) for path in paths]
    names = [_name(card, number) for number, card in enumerate(cards)]
    built = build(cards, images.train, "weighted", gate_settings("weighted", {}), limit=wanted.fit)
    print_built(built, names)
    answers = _answers(cards, paths, images, wanted)
    study = GateStudy(built.deck, answers, [path.stat().st_size for path in paths])
    found = rows(study, cards, built.data, names, wanted.most)
    if wanted.adapt is not None:
        found += _adapted(study, cards, names, images.test, wanted)
    _report(study, built, names, found, wanted)


def _answers(cards: list[Card], paths: list[Path], images: ImageSet, wanted: Wanted) -> FittingData:
    """Return what the cards answer to the test images, from the file of an earlier run where there is one."""
    corruptions, missing = available("common")
    for name, reason in missing.items():
        console.print(f"left out: {name}: {reason}")
    conditions = (CLEAN, *((name, level) for name in corruptions for level in SEVERITIES))
    metadata = (wanted.data, wanted.limit, conditions)
    digest = hashlib.blake2b(repr(metadata).encode(), digest_size=8)
    for path in paths:
        digest.update(path.read_bytes())
    place = wanted.out / f"answers-{digest.hexdigest()}.safetensors"
    if not place.exists():
        _keep(_collected(cards, images.test, conditions, wanted.limit), place)
    kept = load_file(place)
    # A deck's gate looks at the first card alone.
    features = (kept["features"],) * len(cards)
    return FittingData(conditions, kept["logits"], kept["spectra"], kept["labels"], features)


def _adapted(
    study: GateStudy, cards: list[Card], names: list[str], split: Split, wanted: Wanted
) -> list[Row]:
    """Return the rival's rows: the best single card whose norms adapt to batches of one cell."""
    assert wanted.adapt is not None
    best = max(range(len(cards)), key=lambda number: study.single(number, "").robust)
    rival, conditions = with_bn_adaptation(cards[best], wanted.adapt), study.answers.conditions
    found = []
    for size in (1, 16, 256):
        answers = _collected([rival], split, conditions, wanted.limit, size)
        name = f"{names[best]}, adapted, prior {wanted.adapt:g}"
        found.append(study.single(best, name, answers.correct[0], Batches("one cell", size)))
    return found


def _collected(
    cards: list[Card], split: Split, conditions: tuple[Condition, ...], limit: int, batch_size: int = 256
) -> FittingData:
    indices = split.balanced_sample(min(limit, len(split)), 0)
    with progress_bar("running the cards", len(conditions) * len(indices)) as progress:
        return collect(cards, split, indices, conditions, progress=progress, batch_size=batch_size)


def _keep(answers: FittingData, place: Path) -> None:
    with atomic_write(place) as tmp:
        tensors = {
            "logits": answers.logits,
            "spectra": answers.spectra,
            "labels": answers.labels,
            "features": answers.features[0],
        }
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp)


def _report(study: GateStudy, built: Built, names: list[str], found: list[Row], wanted: Wanted) -> None:
    title = _title(study, built, wanted)
    cells = [_cells(row) for row in found]
    show(title, COLUMNS, cells)
    deck = fitted(Deck(built.deck.cards, "weighted", max_active=wanted.most), built.data)
    shares = study.shares(play(deck, study.answers, Batches("one cell", 256)), names)
    texts = {
        "gates.md": document(title, (COLUMNS, cells)),
        "gates.json": json.dumps(
            {"title": title, "rows": [row.to_json() for row in found], "shares": shares}
        ),
        "choices.svg": svg(
            choices_chart(shares, caption=caption_of(wanted.data, len(study.answers.labels), 0))
        ),
    }
    write(wanted.out, texts)


def _title(study: GateStudy, built: Built, wanted: Wanted) -> str:
    oracle = study.oracle
    return (
        f"{wanted.data}: {len(built.deck.cards)} cards, at most {wanted.most} active; fitted on "
        f"{len(built.data.labels)} training images ({'unseen' if built.unseen else 'seen in training'}), "
        f"measured on {len(study.answers.labels)} test images. Per-cell oracle (best of single cards and "
        f"average) {study.oracle_accuracy:.2%}, over the average {oracle.in_points}. "
        f"{platform.machine()}, {os.cpu_count()} cores, 1 thread, torch {torch.__version__}"
    )


def _cells(row: Row) -> list[str]:
    return [
        row.player,
        f"{row.batches.order}, {row.batches.size}",
        f"{row.clean:.2%}",
        f"{row.robust:.2%}",
        row.gain.in_points,
        row.gap.in_points,
        f"{row.passes:.2f}",
        f"{row.bytes / 1000:,.0f}",
    ]


def _name(card: Card, number: int) -> str:
    metadata = card.metadata
    recipe = metadata.recipe or {}
    method = recipe.get("compression", {}).get("method", "card")
    return f"{number + 1} {(metadata.domain or {}).get('name', '')} {method} seed {recipe.get('seed', '?')}"


def _wanted() -> Wanted:
    parser = arguments(__doc__)
    parser.add_argument("cards", type=Path)
    parser.add_argument("--limit", type=int, default=1000, help="test images")
    parser.add_argument("--fit", type=int, default=1000, help="training images to fit on")
    parser.add_argument("--most", type=int, default=2, help="cards active, at most")
    parser.add_argument(
        "--adapt", type=float, help="rows of the best card under batch-norm adaptation, with this prior"
    )
    return Wanted(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()

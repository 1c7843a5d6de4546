"""What decks win in all cells: beside cards, dense networks, and the best of their own norms in each cell.

    python -m benchmarks.hands_table card=a.card deck=a.deck dense=zoo:cifar10-dense-clean --against card \
        --against dense --data cifar10 --root ../shared/data --out DIR

A name that is given several times has so many seeds: its figures are means over them, and an image's accuracy
is the mean over the seeds before images are compared. Every distinct card answers once, whatever decks it is
in; answers to each cell are kept in DIR, so that a run that was ended goes on, and takes on further players.
"""

from __future__ import annotations

import hashlib
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.tables import arguments, document, show, write
from winninghand.base.charts import caption_of, svg
from winninghand.base.device import to_unit
from winninghand.base.files import atomic_write
from winninghand.base.progress import progress_bar
from winninghand.cards import Card
from winninghand.corruptions import SEVERITIES, corrupt
from winninghand.decks import Deck, load
from winninghand.decks.choices import card_names, choices_chart
from winninghand.decks.fitting_data import CLEAN, Condition, Indices
from winninghand.decks.opening import model_path
from winninghand.evaluation import available, paired_difference
from winninghand.images import Split, load_images
from winninghand.report.terminal import console

BATCH = 256
FIGURES = ("player", "seeds", "clean", "robust", "passes", "kB", "best set per cell − player")
DIFFERENCES = ("player", "against", "clean, 95% interval", "robust, 95% interval")


@dataclass
class Player:
    """One model, and what it did in each cell so far: right or not (images,), and mean weights (cards,)."""

    name: str
    model: Card | Deck
    digest: str
    bytes: int
    right: list[Tensor] = field(default_factory=list)
    best: list[Tensor] = field(default_factory=list)
    shares: list[Tensor] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)

    def see(self, answers: dict[str, Tensor], labels: Tensor) -> None:
        """Take in the answers of one cell."""
        logits = torch.stack([answers[_digest(card)].float() for card in self.model.cards])
        alone = logits.argmax(dim=-1) == labels
        self.best.append(alone[alone.float().mean(dim=1).argmax()])
        if self.model.kind == "card":
            weights = torch.ones(len(labels), 1)
            self.right.append(alone[0])
        else:
            weights = answers[f"{self.digest}.weights"]
            self.right.append(self.model.mixed(logits, weights).argmax(dim=1) == labels)
        self.shares.append(weights.mean(dim=0))
        self.passes.append(float((weights > 0).sum(dim=1).float().mean()))


@dataclass(frozen=True)
class Seeds:
    """All seeds of one name; values by image are means over them."""

    players: Sequence[Player]

    def clean(self) -> Tensor:
        """Return the clean accuracy of each image (images,)."""
        return torch.stack([player.right[0].double() for player in self.players]).mean(dim=0)

    def robust(self, best: bool = False) -> Tensor:
        """Return each image's accuracy over the corrupted cells (images,), or of the best set."""
        return torch.stack([_robust(player, best) for player in self.players]).mean(dim=0)

    def figures(self) -> list[str]:
        """Return the cells of a row of the table."""
        accuracies = [float(_robust(player).mean()) for player in self.players]
        spread = f" ± {100 * statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
        several = len(self.players[0].model.cards) > 1
        gap = paired_difference(self.robust(best=True).numpy(), self.robust().numpy())
        passes = statistics.fmean(statistics.fmean(player.passes[1:]) for player in self.players)
        return [
            self.players[0].name,
            str(len(self.players)),
            f"{float(self.clean().mean()):.2%}",
            f"{100 * statistics.fmean(accuracies):.2f}{spread}%",
            f"{passes:.2f}",
            f"{statistics.fmean(player.bytes for player in self.players) / 1000:,.0f}",
            gap.in_points if several else "",
        ]

    def differences(self, other: Seeds) -> list[str]:
        """Return the cells of a row of differences, paired by image."""
        pairs = ((self.clean(), other.clean()), (self.robust(), other.robust()))
        found = [paired_difference(one.numpy(), two.numpy()).in_points for one, two in pairs]
        return [self.players[0].name, other.players[0].name, *found]


@torch.inference_mode()
def main() -> None:
    """Print and write the tables."""
    wanted = _wanted()
    torch.set_num_threads(1)
    split = load_images(wanted.data, root=wanted.root).test
    players = [_player(*one.split("=", 1)) for one in wanted.players]
    names, missing = available(wanted.corruptions)
    for name, reason in missing.items():
        console.print(f"left out: {name}: {reason}")
    conditions = (CLEAN, *((name, level) for name in names for level in SEVERITIES))
    indices = split.balanced_sample(min(wanted.limit or len(split), len(split)), 0)
    labels = torch.from_numpy(split.labels[indices])
    with progress_bar("playing", len(conditions)) as progress:
        for condition in conditions:
            answers = _answers(players, split, indices, condition, wanted)
            for player in players:
                player.see(answers, labels)
            progress(1)
    _report(players, conditions, len(labels), wanted)


def _answers(
    players: Sequence[Player], split: Split, indices: Indices, condition: Condition, wanted: _Wanted
) -> dict[str, Tensor]:
    """Return logits (images, classes) of all cards and weights (images, cards) of all decks, in one cell."""
    metadata = f"{wanted.data} {len(indices)} {wanted.precision}"
    corruption, severity = condition
    place = (
        wanted.out
        / f"{hashlib.blake2b(metadata.encode(), digest_size=4).hexdigest()}"
        / f"{corruption}-{severity}"
    )
    known: dict[str, Tensor] = load_file(place) if place.exists() else {}
    cards = {_digest(card): card for player in players for card in player.model.cards}
    cards = {digest: card for digest, card in cards.items() if digest not in known}
    decks = {
        f"{player.digest}.weights": player.model
        for player in players
        if player.model.kind == "deck" and f"{player.digest}.weights" not in known
    }
    if not cards and not decks:
        return known
    parts: dict[str, list[Tensor]] = {key: [] for key in (*cards, *decks)}
    for start in range(0, len(indices), BATCH):
        some = indices[start : start + BATCH]
        pixels = split.images[some]
        if condition != CLEAN:
            pixels = corrupt(pixels, corruption, severity, seed=0, indices=some)
        images = to_unit(torch.from_numpy(pixels))
        for key, deck in decks.items():
            assert deck.kind == "deck"
            parts[key].append(deck.choose(images))
        with torch.autocast("cpu", torch.bfloat16, enabled=wanted.precision == "bf16"):
            for key, card in cards.items():
                parts[key].append(card(images).half())
    known |= {key: torch.cat(some) for key, some in parts.items()}
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(place) as tmp:
        save_file({key: tensor.contiguous() for key, tensor in known.items()}, tmp)
    return known


def _player(name: str, path: str) -> Player:
    place = model_path(path)
    content = place.read_bytes()
    return Player(name, load(path).eval(), hashlib.blake2b(content, digest_size=16).hexdigest(), len(content))


_DIGESTS: dict[int, str] = {}


def _digest(card: Card) -> str:
    """Return what tells a card from others, whatever file it lies in."""
    if id(card) not in _DIGESTS:
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in card.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        _DIGESTS[id(card)] = digest.hexdigest()
    return _DIGESTS[id(card)]


def _robust(player: Player, best: bool = False) -> Tensor:
    return torch.stack((player.best if best else player.right)[1:]).double().mean(dim=0)


def _report(players: Sequence[Player], conditions: Sequence[Condition], images: int, wanted: _Wanted) -> None:
    groups: dict[str, list[Player]] = {}
    for player in players:
        groups.setdefault(player.name, []).append(player)
    seeds = {name: Seeds(some) for name, some in groups.items()}
    title = (
        f"{wanted.data}: {images:,} test images × {len(conditions) - 1} cells of `{wanted.corruptions}`; "
        f"answers in {wanted.precision}, {platform.machine()}, torch {torch.__version__}"
    )
    rows = [one.figures() for one in seeds.values()]
    differences = [
        one.differences(seeds[base]) for base in wanted.against for name, one in seeds.items() if name != base
    ]
    for columns, some in ((FIGURES, rows), (DIFFERENCES, differences)):
        show(title, columns, some)
    texts = {f"hands-{wanted.corruptions}.md": document(title, (FIGURES, rows), (DIFFERENCES, differences))}
    for player in players:
        if player.model.kind == "deck" and player is groups[player.name][0]:
            chart = choices_chart(_shares(player, conditions), caption=caption_of(wanted.data, images, 0))
            texts[f"choices-{player.name}-{wanted.corruptions}.svg"] = svg(chart)
    write(wanted.out, texts)


def _shares(player: Player, conditions: Sequence[Condition]) -> list[dict[str, object]]:
    names = card_names(player.model.cards)
    return [
        {"corruption": corruption, "severity": severity, "card": name, "weight": float(weight)}
        for (corruption, severity), shares in zip(conditions, player.shares, strict=True)
        for name, weight in zip(names, shares, strict=True)
    ]


@dataclass(frozen=True)
class _Wanted:
    players: list[str]
    against: list[str]
    data: str
    root: Path | None
    out: Path
    corruptions: str
    limit: int | None
    precision: str


def _wanted() -> _Wanted:
    parser = arguments(__doc__)
    parser.add_argument("players", nargs="+", metavar="NAME=MODEL")
    parser.add_argument("--against", action="append", default=[], metavar="NAME")
    parser.add_argument("--corruptions", default="common")
    parser.add_argument("--limit", type=int, help="test images, class by class; all by default")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    return _Wanted(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()

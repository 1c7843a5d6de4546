"""`winninghand deck`: cards put together, fitted on training images where there are any."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winninghand.base.errors import InputError, counted
from winninghand.base.files import check_apart
from winninghand.cli import completion
from winninghand.cli.options import (
    GateSetting,
    Root,
    Seed,
    SkipBroken,
    Stream,
    Threads,
    Trust,
    image_places,
    output_file,
    settings_of_gate,
)

if TYPE_CHECKING:
    from winninghand.cards import Card
    from winninghand.decks import Deck
    from winninghand.decks.building import SizeLimit
    from winninghand.decks.gate import GateSettings
    from winninghand.images import ImageSet

_MOST_NAMED = 5
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def deck(
    out: Annotated[Path, typer.Argument(metavar="OUT.deck", callback=output_file)],
    cards: Annotated[list[Path], typer.Argument(metavar="CARD|DIR ...", autocompletion=completion.models)],
    gate: Annotated[
        str,
        typer.Option(
            help="How cards are chosen; see 'winninghand names gates'.",
            autocompletion=completion.names("gates"),
        ),
    ] = "spectral",
    budget: Annotated[
        str | None, typer.Option(help="Choose cards, best first, for at most this size, such as 3MB.")
    ] = None,
    max_active: Annotated[int | None, typer.Option(min=1, help="Cards played on an image, at most.")] = None,
    changes: GateSetting = None,
    fallback: Annotated[
        bool,
        typer.Option(
            "--fallback", help="Fit also how sure the gate must be; where it is not, all cards play."
        ),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            help="Fit the gate and the temperatures on this data's training images.",
            metavar="NAME|PATH",
            autocompletion=completion.names("image_sets"),
        ),
    ] = None,
    root: Root = None,
    skip_broken: SkipBroken = False,
    stream: Stream = False,
    limit: Annotated[int, typer.Option(min=20, help="Training images to fit on.")] = 1000,
    seed: Seed = 0,
    threads: Threads = None,
    trust: Trust = False,
) -> None:
    """Put cards, or all cards below folders, into one deck."""
    from winninghand.base.threads import use_threads
    from winninghand.cli.loading import images_for
    from winninghand.cli.measuring import as_given
    from winninghand.decks import Deck, load_card
    from winninghand.decks.building import SizeLimit
    from winninghand.report.terminal import say

    if out.suffix == ".card":
        raise InputError(f"{out} is named as a card; give first the .deck file to write, then the cards")
    total = None if budget is None else parse_bytes(budget)
    paths = [path for place in cards for path in _cards_below(place)]
    check_apart([out], [*paths, *([] if data is None else image_places(data, root))])
    use_threads(threads)
    named = _each_once([(path, load_card(path, trust=trust)) for path in paths])
    settings = settings_of_gate(gate, changes, **({} if max_active is None else {"max_active": max_active}))
    if max_active is not None and settings.max_active != max_active:
        raise InputError("--max-active and --set max_active differ; leave one of them out")
    if fallback and getattr(settings, "confidence", None) is not None:
        raise InputError("--fallback fits the confidence that --set gives; leave one of them out")
    if data is None:
        if fallback:
            raise InputError("how sure the gate must be is fitted on images; give --data")
        if total is not None:
            raise InputError("choosing cards for a budget needs images to try them on; give --data")
        result = Deck(list(named.values()), gate, settings)
    else:
        size_limit = None if total is None else SizeLimit(total, [path.stat().st_size for path in named])
        by_name = {as_given(path): card for path, card in named.items()}
        image_set = images_for(by_name, data, root, skip_broken, stream)
        result = _fitted(named, image_set, gate, settings, size_limit, limit, seed, fallback)
    result.save(out)
    say(f"{out}: {counted(len(result.cards), 'card')} under the gate {gate}, {out.stat().st_size:,} bytes")


def _fitted(
    cards: Mapping[Path, Card],
    images: ImageSet,
    gate: str,
    settings: GateSettings,
    size_limit: SizeLimit | None,
    limit: int,
    seed: int,
    fallback: bool,
) -> Deck:
    """Return a deck of all cards, or of those chosen for a budget, and say how it was built.

    `cards` are told by their files.
    """
    from winninghand.base.device import best_device
    from winninghand.base.progress import progress_bar
    from winninghand.cli.measuring import as_given
    from winninghand.decks.building import build
    from winninghand.decks.fitting import fitting_conditions
    from winninghand.report.decks import print_built

    for card in cards.values():
        card.to(best_device())
    total = len(fitting_conditions()) * min(limit, len(images.train))
    with progress_bar("running the cards", total) as progress:
        built = build(
            list(cards.values()), images.train, gate, settings, size_limit, limit, seed, progress, fallback
        )
    print_built(built, [as_given(path) for path in cards])
    return built.deck.cpu()


def parse_bytes(text: str) -> int:
    """Return the bytes that `3MB`, `500 kB`, `2MiB` or `3000000` stand for."""
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,18})?)\s*([a-z]*)", text.strip(), re.IGNORECASE)
    unit = match[2].upper() if match else "?"
    if match is None or unit not in _UNITS:
        raise InputError(f"a size must be a number and a unit such as 3MB or 500kB, not {text!r}")
    return int(Fraction(match[1]) * _UNITS[unit])


def _each_once(cards: Sequence[tuple[Path, Card]]) -> dict[Path, Card]:
    """Return files and their cards without those that hold what another one does, and say which these are."""
    from winninghand.cli.measuring import as_given
    from winninghand.report.terminal import say

    first: dict[bytes, Path] = {}
    kept: dict[Path, Card] = {}
    again = []
    for path, card in cards:
        digest = blake2b(path.read_bytes()).digest()
        if digest in first:
            again.append(f"{as_given(path)} is {as_given(first[digest])}")
        else:
            first[digest], kept[path] = path, card
    if again:
        more = "" if len(again) <= _MOST_NAMED else f" and {len(again) - _MOST_NAMED} more"
        say(f"a card that is given twice counts once: {', '.join(again[:_MOST_NAMED])}{more}")
    return kept


def _cards_below(place: Path) -> list[Path]:
    from winninghand.decks import model_path

    place = model_path(place)
    if not place.is_dir():
        return [place]
    # A name with a dot before it is one that a killed writer left, or is of somebody's own.
    found = sorted(path for path in place.rglob("*.card") if not path.name.startswith("."))
    if not found:
        raise InputError(f"there is no .card file below {place}")
    return found

"""`winninghand deck`: cards put together, fitted on training images where there are any."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winninghand.base.errors import InputError, counted
from winninghand.base.files import check_apart
from winninghand.cli.options import Root, Seed, SkipBroken, Threads, Trust, image_places, output_file

if TYPE_CHECKING:
    from winninghand.cards import Card
    from winninghand.decks import Deck
    from winninghand.decks.building import SizeLimit
    from winninghand.decks.gate import GateSettings
    from winninghand.images import ImageSet

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def deck(
    out: Annotated[Path, typer.Argument(metavar="OUT.deck", callback=output_file)],
    cards: Annotated[list[Path], typer.Argument(metavar="CARD|DIR ...")],
    gate: Annotated[
        str, typer.Option(help="How cards are chosen; see 'winninghand names gates'.")
    ] = "spectral",
    budget: Annotated[
        str | None, typer.Option(help="Choose cards, best first, for at most this size, such as 3MB.")
    ] = None,
    max_active: Annotated[int | None, typer.Option(min=1, help="Cards played on an image, at most.")] = None,
    fallback: Annotated[
        bool,
        typer.Option(
            "--fallback", help="Fit also how sure the gate must be; where it is not, all cards play."
        ),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            help="Fit the gate and the temperatures on this data's training images.", metavar="NAME|PATH"
        ),
    ] = None,
    root: Root = None,
    skip_broken: SkipBroken = False,
    limit: Annotated[int, typer.Option(min=20, help="Training images to fit on.")] = 1000,
    seed: Seed = 0,
    threads: Threads = None,
    trust: Trust = False,
) -> None:
    """Put cards, or all cards below folders, into one deck."""
    from winninghand.base.device import use_threads
    from winninghand.cli.loading import images_for
    from winninghand.decks import Deck, load_card
    from winninghand.decks.building import SizeLimit
    from winninghand.decks.gate import gate_settings
    from winninghand.report.terminal import say

    if out.suffix == ".card":
        raise InputError(f"{out} is named as a card; give first the .deck file to write, then the cards")
    total = None if budget is None else parse_bytes(budget)
    paths = [path for place in cards for path in _cards_below(place)]
    check_apart([out], [*paths, *([] if data is None else image_places(data, root))])
    use_threads(threads)
    loaded = [load_card(path, trust=trust) for path in paths]
    settings = gate_settings(gate, {} if max_active is None else {"max_active": max_active})
    if data is None:
        if fallback:
            raise InputError("how sure the gate must be is fitted on images; give --data")
        if total is not None:
            raise InputError("choosing cards for a budget needs images to try them on; give --data")
        result = Deck(loaded, gate, settings)
    else:
        size_limit = None if total is None else SizeLimit(total, [path.stat().st_size for path in paths])
        # Pairs, because a path may be given twice.
        named = [(str(path), card) for path, card in zip(paths, loaded, strict=True)]
        image_set = images_for(dict(named), data, root, skip_broken)
        result = _fitted(named, image_set, gate, settings, size_limit, limit, seed, fallback)
    result.save(out)
    say(f"{out}: {counted(len(result.cards), 'card')} under the gate {gate}, {out.stat().st_size:,} bytes")


def _fitted(
    cards: Sequence[tuple[str, Card]],
    images: ImageSet,
    gate: str,
    settings: GateSettings,
    size_limit: SizeLimit | None,
    limit: int,
    seed: int,
    fallback: bool,
) -> Deck:
    """Return a deck of all cards, or of those chosen for a budget, and say how it was built.

    `cards` come with the names of their files.
    """
    from winninghand.base.device import best_device
    from winninghand.base.progress import progress_bar
    from winninghand.decks.building import build
    from winninghand.decks.fitting import fitting_conditions
    from winninghand.report.decks import print_built

    for _, card in cards:
        card.to(best_device())
    total = len(fitting_conditions()) * min(limit, len(images.train))
    players = [card for _, card in cards]
    with progress_bar("running the cards", total) as progress:
        built = build(players, images.train, gate, settings, size_limit, limit, seed, progress, fallback)
    print_built(built, [name for name, _ in cards])
    return built.deck.cpu()


def parse_bytes(text: str) -> int:
    """Return the bytes that `3MB`, `500 kB`, `2MiB` or `3000000` stand for."""
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,18})?)\s*([a-z]*)", text.strip(), re.IGNORECASE)
    unit = match[2].upper() if match else "?"
    if match is None or unit not in _UNITS:
        raise InputError(f"a size must be a number and a unit such as 3MB or 500kB, not {text!r}")
    return int(Fraction(match[1]) * _UNITS[unit])


def _cards_below(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    # A name with a dot before it is one that a killed writer left, or is of somebody's own.
    found = sorted(path for path in place.rglob("*.card") if not path.name.startswith("."))
    if not found:
        raise InputError(f"there is no .card file below {place}")
    return found

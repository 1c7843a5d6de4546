"""`winninghand deck`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.errors import InputError


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("deck")(deck)


def deck(
    out: Annotated[Path, typer.Argument(metavar="OUT.deck")],
    cards: Annotated[list[Path], typer.Argument(metavar="CARD|DIR ...")],
    gate: Annotated[
        str, typer.Option(help="How cards are chosen; see 'winninghand names gates'.")
    ] = "spectral",
) -> None:
    """Put cards, or all cards below folders, into one deck."""
    from winninghand.cards import load_card
    from winninghand.decks import Deck
    from winninghand.report.terminal import console

    paths = [path for place in cards for path in _cards_below(place)]
    Deck([load_card(path) for path in paths], gate).save(out)
    console.print(f"{out}: {len(paths)} cards under the gate {gate}, {out.stat().st_size:,} bytes")


def _cards_below(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    found = sorted(place.rglob("*.card"))
    if not found:
        raise InputError(f"there is no .card file below {place}")
    return found

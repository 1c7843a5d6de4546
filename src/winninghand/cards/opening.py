"""Opening what must be a card, so that paths may stand wherever cards are taken."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from winninghand.base.errors import InputError, shown, with_article
from winninghand.cards.card import Card
from winninghand.cards.container import model_path, read_streams
from winninghand.cards.file import KIND, unpack_card
from winninghand.zoo import PREFIX, name_of

CardLike: TypeAlias = Card | Path | str
"""A card, its file, `zoo:NAME` or `hf:OWNER/NAME`."""


def load_card(path: Path | str, network: nn.Module | None = None, trust: bool = False) -> Card:
    """Open what must be a card; see `winninghand.load`. Raises `InputError` for a deck too."""
    file = model_path(path)
    if trust:
        check_no_stranger(file)
    header, streams = read_streams(file)
    kind = header.pop("kind", None)
    if kind != KIND:
        found = with_article(kind) if isinstance(kind, str) else "something else"
        name = name_of(file)
        told = path if name is None else f"{PREFIX}{name}"
        raise InputError(f"{told} holds {shown(found)}, not a card; give a .card file")
    # What is made in inference mode could never be trained.
    with torch.inference_mode(False):
        return Card(*unpack_card(header, streams, str(file), network, trust=trust))


def check_no_stranger(file: Path) -> None:
    """Raise `InputError` for a file of the hub, which may name any code that is installed here to be run."""
    from winninghand.hub.address import address_of  # who trusts nothing needs none of it

    if address_of(file) is not None:
        raise InputError(
            f"{file} comes from the hub, and code that it names is not run; look at it, and trust a copy "
            "of it elsewhere"
        )


def opened(cards: Sequence[CardLike]) -> Sequence[Card]:
    """Return cards as they are, and those that are given by a path opened, each file once.

    What is no list or tuple, and what is neither a card nor a path, is left to the caller to refuse.
    """
    if not isinstance(cards, list | tuple) or not any(isinstance(one, str | PathLike) for one in cards):
        return cards  # type: ignore[return-value]
    files: dict[str, Card] = {}
    found: list[Card] = []
    for one in cards:
        if not isinstance(one, str | PathLike):
            found.append(one)
            continue
        if str(one) not in files:
            files[str(one)] = load_card(Path(one))
        found.append(files[str(one)])
    return found

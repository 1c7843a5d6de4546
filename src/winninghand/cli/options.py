"""Options that several commands share."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write


def of_zoo(model: Path | None) -> Path | None:
    """Return the file of a model that may be given as zoo:NAME."""
    if model is None:
        return None
    from winninghand.decks import model_path

    return model_path(model)


Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A .card or .deck file, or zoo:NAME.", callback=of_zoo)
]
Data = Annotated[
    str,
    typer.Option(
        help="digits, cifar10, cifar100, a folder, a .npz file or hf:OWNER/NAME.", metavar="NAME|PATH"
    ),
]
Root = Annotated[
    Path | None, typer.Option(help="Where named sets are looked for before anything is downloaded.")
]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Use a seeded, class-balanced sample of this many images.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Corruptions = Annotated[str, typer.Option(help="common, extra, all, or names joined by commas.")]
Severities = Annotated[str, typer.Option(help="A range such as 1-5, or numbers joined by commas.")]
Adapt = Annotated[
    float | None,
    typer.Option(help="Adapt batch norms to each batch; the stored statistics count for this many images."),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1 or another; without it, the best one.", metavar="NAME")
]
Json = Annotated[
    str | None,
    typer.Option(
        "--json", help="Also write one JSON document to this file; - for standard output.", metavar="PATH|-"
    ),
]


def parse_severities(text: str) -> tuple[int, ...]:
    """Return the severities that `1-5`, `3` or `1,3,5` stand for."""
    try:
        if "-" in text:
            first, last = (int(part) for part in text.split("-"))
            levels = tuple(range(first, last + 1))
        else:
            levels = tuple(int(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(1 <= level <= 5 for level in levels):
        raise InputError(f"severities must be a range within 1-5 or numbers joined by commas, not {text!r}")
    return levels


def parse_setting(text: str) -> tuple[str, Any]:
    """Return key and value of a `--set key=value`; a value that is not TOML is a bare word."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InputError(f"--set takes key=value, such as training.epochs=5, not {text!r}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def write_json(document: dict[str, Any], target: str | None) -> None:
    """Write a document where `--json` says, if it says anything."""
    if target is None:
        return
    text = json.dumps(document, indent=1, allow_nan=False)
    if target == "-":
        typer.echo(text)
        return
    with atomic_write(target) as tmp:
        tmp.write_text(text + "\n", encoding="utf-8")

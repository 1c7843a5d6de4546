"""Options that several commands share."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winninghand.base.errors import InputError, shown
from winninghand.base.files import atomic_write, checked_output, expanded
from winninghand.cli import completion
from winninghand.zoo import check_no_model

if TYPE_CHECKING:
    from winninghand.decks.gate import GateSettings


def of_zoo(model: Path | None) -> Path | None:
    """Return the file of a model that may be given as zoo:NAME or hf:OWNER/NAME."""
    if model is None:
        return None
    from winninghand.decks import model_path

    return model_path(model)


def output_file(path: Path | None) -> Path | None:
    """Return the path of a file to be written; refuse at once one that cannot be."""
    if path is None:
        return None
    check_no_model(path)
    return checked_output(path)


def output_page(path: Path | None) -> Path | None:
    """Return the path of a page to be written; refuse at once one that ends otherwise or cannot be."""
    path = output_file(path)
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"a page is written as .html, not as {shown(repr(str(path)))}; rename it")
    return path


def output_folder(path: Path | None) -> Path | None:
    """Return the path of a folder to be written to; refuse at once one that cannot be."""
    return None if path is None else checked_output(path, folder=True)


def image_places(data: str, root: Path | None) -> list[Path]:
    """Return the files and folders that `--data` and `--root` say images are read from."""
    from winninghand.images import IMAGE_SETS

    given = [str(root)] if data in IMAGE_SETS and root is not None else [data]
    return [expanded(place) for place in given if place not in IMAGE_SETS]


def _trusted(trust: bool) -> bool:
    """Let what is trusted be found in the present folder too, last, as scripts there would find it."""
    if trust and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    return trust


def _json_target(target: str | None) -> str | None:
    return target if target in (None, STANDARD_OUTPUT) else str(checked_output(target))


STANDARD_OUTPUT = "-"
"""What `--json` takes for standard output."""

Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A .card or .deck file, zoo:NAME or hf:OWNER/NAME@REVISION.",
        callback=of_zoo,
        autocompletion=completion.models,
    ),
]
Data = Annotated[
    str,
    typer.Option(
        help="digits, cifar10, cifar100, a folder, a pattern of shards, a .npz file or hf:OWNER/NAME.",
        metavar="NAME|PATH",
        autocompletion=completion.names("image_sets"),
    ),
]
Root = Annotated[
    Path | None, typer.Option(help="Where named sets are looked for before anything is downloaded.")
]
GateSetting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Give the gate a setting, as in docs/decks.md; may be repeated."
    ),
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out image files that cannot be read, and name them.")
]
Stream = Annotated[
    bool, typer.Option("--stream", help="Leave images in their files, to be read when they are needed.")
]
Size = Annotated[
    int | None, typer.Option(min=1, help="Side in pixels that images are brought to.", metavar="N")
]
Transform = Annotated[
    str | None,
    typer.Option(
        help="How: crop the middle, squash the whole, pad it with black, or resize the shorter side to N "
        "pixels and cut out the middle.",
        metavar="crop|squash|pad|resizeN",
        autocompletion=completion.words("crop", "squash", "pad", "resize256"),
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Use a seeded, class-balanced sample of this many images.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Corruptions = Annotated[
    str,
    typer.Option(
        help="common, extra, all, bar, imagenet_bar or a name; several are joined by commas.",
        autocompletion=completion.joined("corruptions", "common", "extra", "all", "bar", "imagenet_bar"),
    ),
]
Severities = Annotated[str, typer.Option(help="A range such as 1-5, or numbers joined by commas.")]
Parameters = Annotated[
    str,
    typer.Option(
        help="Whose severities: auto (by size), cifar10-c, tiny-imagenet-c or imagenet-c.",
        metavar="NAME",
        autocompletion=completion.words("auto", "cifar10-c", "tiny-imagenet-c", "imagenet-c"),
    ),
]
SavedAs = Annotated[
    str,
    typer.Option(
        help="jpeg saves images as ImageNet-C's are, at quality 85; pixels does not.",
        metavar="NAME",
        autocompletion=completion.words("jpeg", "pixels"),
    ),
]
Adapt = Annotated[
    float | None,
    typer.Option(help="Adapt batch norms to each batch; the stored statistics count for this many images."),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1 or another; without it, the best one.", metavar="NAME")
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="What runs the model: torch, sparse (non-zero weights alone) or onnx; auto is torch.",
        metavar="NAME",
        autocompletion=completion.words("auto", "torch", "sparse", "onnx"),
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Run the code that a network names as package.module:function.", callback=_trusted
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="Threads of PyTorch; without it, as many as there are free cores."),
]
Json = Annotated[
    str | None,
    typer.Option(
        "--json",
        help="Also write one JSON document to this file; - for standard output.",
        metavar="PATH|-",
        callback=_json_target,
    ),
]


def file_of(json: str | None) -> str | None:
    """Return the file that `--json` names, None for standard output."""
    return None if json == STANDARD_OUTPUT else json


def parse_severities(text: str) -> tuple[int, ...]:
    """Return the severities that `1-5`, `3` or `1,3,5` stand for."""
    try:
        if "-" in text:
            first, last = (int(part) for part in text.split("-"))
            levels = tuple(range(first, last + 1)) if first >= 1 and last <= 5 else ()
        else:
            levels = tuple(int(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(1 <= level <= 5 for level in levels):
        raise InputError(f"severities must be a range within 1-5 or numbers joined by commas, not {text!r}")
    return levels


def parse_setting(text: str, example: str = "training.epochs=5") -> tuple[str, Any]:
    """Return key and value of a `--set key=value`; a value that is not TOML is a bare word."""
    key, separator, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not separator or not key:
        raise InputError(f"--set takes key=value, such as {example}, not {text!r}")
    try:
        (parsed,) = tomllib.loads(f"value = {value}").values()  # a line's end would begin another key
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        return key, value
    return key, parsed


def image_changes(
    size: int | None, transform: str | None, skip_broken: bool, stream: bool = False
) -> dict[str, Any]:
    """Return what `--size`, `--transform`, `--skip-broken` and `--stream` lay over a recipe."""
    given = {
        "size": size,
        "transform": transform,
        "skip_broken": skip_broken or None,
        "stream": stream or None,
    }
    return {f"images.{key}": value for key, value in given.items() if value is not None}


def settings_of_gate(gate: str, changes: list[str] | None, **defaults: object) -> GateSettings:
    """Return the settings of a gate, those that `--set` gives laid over the defaults."""
    from winninghand.decks.gate import gate_settings

    settings = [parse_setting(change, "temperature=0.5") for change in changes or []]
    given = dict(settings)
    if len(given) < len(settings):
        raise InputError("--set gives a setting of the gate twice; leave one of them out")
    if "scores" in given:
        raise InputError("scores are fitted on images and cannot be set; leave them out")
    return gate_settings(gate, {**defaults, **given})


def write_json(document: dict[str, Any], target: str | None) -> None:
    """Write a document where `--json` says, if it says anything."""
    from winninghand.report.terminal import say

    if target is None:
        return
    text = json.dumps(document, indent=1, allow_nan=False)
    if target == STANDARD_OUTPUT:
        typer.echo(text)
        return
    with atomic_write(target) as tmp:
        tmp.write_text(text + "\n", encoding="utf-8")
    say(f"written: {target}")

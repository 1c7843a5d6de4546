"""Trained cards and decks that come with the library, each with its figures in a JSON file beside it.

What is too large for the wheel is a pin beside them: where it lies on the hub, which commit, which digest.
"""

from __future__ import annotations

from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.base.registry import Registry
from winninghand.hub.address import PREFIX as HUB

PREFIX = "zoo:"
PIN = ".pin"
MODELS = Path(__file__).parent / "models"

ZOO: Registry[Path] = Registry("zoo model", "zoo", instance_of="pathlib:Path")
for _end in (".card", ".deck", PIN):
    for _path in sorted(MODELS.glob(f"*{_end}")):
        ZOO.register(_path.stem)(_path)


def file_of(name: str) -> Path:
    """Return the file of a model of the zoo; one that is pinned is fetched from the hub, or from its cache.

    Raises `InputError` for an unknown name, for a pinned model that cannot be had, and for one whose digest
    is another.
    """
    path = ZOO[name]
    if path.suffix != PIN:
        return path
    from winninghand.hub.pins import fetch_pinned

    return fetch_pinned(path)


def check_no_model(path: Path | str) -> None:
    """Raise `InputError` where a file that is to be written is named as a model of the zoo or of the hub."""
    if str(path).startswith((PREFIX, HUB)):
        raise InputError(f"{path} is a model, and no file to write; give the file to write in its place")


def name_of(path: Path) -> str | None:
    """Return the name of the model of the zoo whose file this is; None for any other file."""
    entries = ZOO.usable()
    pins = {name: entry for name, entry in entries.items() if entry.suffix == PIN}
    if pins:
        from winninghand.hub.address import address_of
        from winninghand.hub.pins import read_pin

        entries |= {name: path for name, pin in pins.items() if read_pin(pin).address == address_of(path)}
    return next((name for name, entry in entries.items() if entry == path), None)

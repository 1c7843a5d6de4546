"""All names, kind by kind: listed at once, since nothing that is named is imported."""

from __future__ import annotations

from importlib.util import find_spec
from typing import overload

from winninghand.base.catalog import (
    CLAIMS,
    CORRUPTIONS,
    DOMAINS,
    EXECUTORS,
    GATES,
    IMAGE_SETS,
    LIBRARIES,
    LOGGERS,
    METHODS,
    NETWORKS,
)
from winninghand.base.errors import InputError
from winninghand.base.registry import nearest
from winninghand.zoo import ZOO

KINDS = {
    "networks": NETWORKS,
    "methods": METHODS,
    "corruptions": CORRUPTIONS,
    "domains": DOMAINS,
    "gates": GATES,
    "image_sets": IMAGE_SETS,
    "executors": EXECUTORS,
    "loggers": LOGGERS,
    "claims": CLAIMS,
    "zoo": ZOO,
}


@overload
def names(kind: str) -> tuple[str, ...]: ...
@overload
def names(kind: None = None) -> dict[str, tuple[str, ...]]: ...
def names(kind: str | None = None) -> tuple[str, ...] | dict[str, tuple[str, ...]]:
    """Return the names of one kind, or of all kinds by kind.

    Kinds are networks, methods, corruptions, domains, gates, image_sets, executors, loggers, claims and zoo.
    Names that other packages have added are among them. Raises `InputError` for an unknown kind.
    """
    if kind is None:
        return {one: tuple(registry) for one, registry in KINDS.items()}
    if kind not in KINDS:
        raise InputError(f"unknown kind of name {kind!r}; {nearest(kind, KINDS)}")
    return tuple(KINDS[kind])


def networks_elsewhere() -> str:
    """Return one line: how networks of libraries and of one's own are named, and which can be had here."""
    said = []
    for prefix, library in LIBRARIES.items():
        form = f"{prefix}:OWNER/NAME" if prefix == "hf" else f"{prefix}:NAME"
        there = f"{library} is installed" if find_spec(library) else f"pip install 'winninghand[{library}]'"
        said.append(f"{form} ({there})")
    return f"also {', '.join(said)}, and, where you trust it, package.module:function of your own code"

"""Everything that has a name."""

from __future__ import annotations

from collections.abc import Iterable

from winninghand.augmentation import DOMAINS
from winninghand.compression import METHODS
from winninghand.corruptions import CORRUPTIONS
from winninghand.decks import GATES
from winninghand.networks import NETWORKS
from winninghand.registry import Registry
from winninghand.zoo import ZOO

KINDS: Registry[Iterable[str]] = Registry("kind of name")
for _kind, _names in (
    ("networks", NETWORKS),
    ("methods", METHODS),
    ("corruptions", CORRUPTIONS),
    ("domains", DOMAINS),
    ("gates", GATES),
    ("zoo", ZOO),
):
    KINDS.register(_kind)(_names)


def names(kind: str) -> tuple[str, ...]:
    """Return the names of one kind: networks, methods, corruptions, domains, gates or zoo.

    Raises `InputError` for an unknown kind.
    """
    return tuple(KINDS[kind])

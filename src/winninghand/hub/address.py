"""Where a model lies on the hub: `hf:OWNER/NAME`, a file in it, and a revision."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from winninghand.base.errors import InputError, shown

PREFIX = "hf:"
SUFFIXES = (".card", ".deck")
"""How the files end that models are read from; nothing else of a repository is fetched."""

FILES = frozenset({"model.card", "model.deck"})
"""What a model's file is called by the library; a repository that it writes holds one of them."""

_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_]|-(?!-)|\.(?!\.)){0,95}")
_REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_/-]|\.(?!\.)){0,254}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Address(NamedTuple):
    """A repository `OWNER/NAME`, one of its files where it is named, and a branch, tag or commit."""

    repository: str
    file: str | None = None
    revision: str | None = None

    def __str__(self) -> str:
        file = f"/{self.file}" if self.file else ""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{PREFIX}{self.repository}{file}{revision}"


def parse(text: str, revision: str | None = None) -> Address:
    """Return what `hf:OWNER/NAME`, `hf:OWNER/NAME/FILE` or one of them with `@REVISION` stands for.

    Raises `InputError` for any other text, and for two revisions.
    """
    place, at, own = text.removeprefix(PREFIX).partition("@")
    owner, _, rest = place.partition("/")
    name, slash, file = rest.partition("/")
    if at and revision is not None and own != revision:
        raise InputError(f"{shown(text)} names a revision, and so does revision={revision!r}; give one")
    revision = own if at else revision
    repository = checked_repository(f"{owner}/{name}" if name else owner)
    if revision is not None:
        checked_revision(revision)
    if slash and (not file.endswith(SUFFIXES) or ".." in file.split("/") or file.startswith("/")):
        raise InputError(
            f"{shown(repr(file))} is no file that models are read from; give one that ends with "
            f"{' or '.join(SUFFIXES)}, or {PREFIX}OWNER/NAME alone"
        )
    return Address(repository, file or None, revision)


def checked_repository(text: str) -> str:
    """Return the name of a repository, or raise `InputError` unless it is `OWNER/NAME`."""
    parts = text.split("/")
    fit = [_PART.fullmatch(part) and not part.endswith((".", "-", ".git")) for part in parts]
    if len(parts) != 2 or not all(fit) or len(text) > 96:
        raise InputError(
            f"{shown(repr(text))} is no name of a repository on the hub; give OWNER/NAME, each of letters, "
            "digits, '-', '_' and '.'"
        )
    return text


def checked_revision(text: str) -> str:
    """Return the name of a revision, or raise `InputError` unless it can be one."""
    if not _REVISION.fullmatch(text):
        raise InputError(f"{shown(repr(text))} is no revision; give a branch, a tag or a commit")
    return text


def is_commit(revision: str | None) -> bool:
    """Tell whether a revision is a commit, 40 hexadecimal digits, whose content never changes."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def address_of(path: Path | str) -> Address | None:
    """Return the address of a file in the hub's cache, with its commit; None for any other file."""
    parts = Path(path).parts
    for place, part in enumerate(parts):
        words, below = part.split("--"), parts[place + 1 :]
        if words[0] != "models" or len(words) != 3 or len(below) < 3:
            continue
        if below[0] == "snapshots" and is_commit(below[1]):
            return Address(f"{words[1]}/{words[2]}", "/".join(below[2:]), below[1])
    return None

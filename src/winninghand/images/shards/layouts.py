"""Layouts of shards: a folder of parquet files or of tar files, or a pattern that names them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.base.files import expanded
from winninghand.images.shards.braces import expanded_braces
from winninghand.images.shards.splits import (
    PARQUET,
    TAR,
    Kind,
    Shards,
    listed_names,
    set_folder,
    shards_by_split,
    split_of,
)
from winninghand.images.source import Source

_TARS = (".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")


def parquet(folder: Path) -> Source | None:
    """Return the image set in the parquet files of a folder or of one below it, or `None` where none is.

    Raises `InputError` where a split or a shard is missing, or where several folders hold a set each.
    """
    found = sorted(folder.glob("*.parquet")) or sorted(folder.glob("*/*.parquet"))
    if not found:
        return None
    return source_in(folder.resolve().name, folder, found, PARQUET)


def webdataset(folder: Path) -> Source | None:
    """Return the image set in the tar files of a folder or of those below it, or `None` where none is.

    Tar files that lie beside folders are no shards: archives often stay where they were unpacked. Raises
    `InputError` as `parquet` does.
    """
    if not folder.is_dir():
        return None
    every = [path for place in (folder, *_below(folder)) for path in _tar_files(place)]
    found = [path for path in every if split_of(path.relative_to(folder))]
    if not found:
        return None
    compressed = [path.name for path in found if path.suffix != TAR.suffix]
    if compressed:
        raise InputError(
            f"{folder} holds {listed_names(compressed)}, and members are read from their places in a file "
            f"that is not compressed; unpack {_them(compressed)} to {TAR.suffix}, such as by gunzip"
        )
    return source_in(folder.resolve().name, folder, found, TAR)


def _tar_files(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("*.tar*") if path.name.lower().endswith(_TARS)]
    return [] if found and _below(folder) else found


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]


def pattern(text: str) -> Source | None:
    """Return the image set whose shards a brace pattern names, or `None` where a text is none.

    Such as `set/{train-{000000..000146},val-{000000..000006}}.tar`. Raises `InputError` where one of them is
    not there, and as `parquet` does.
    """
    kind = next((kind for kind in (PARQUET, TAR) if text.endswith(kind.suffix)), None)
    if kind is None or "{" not in text:
        return None
    paths = [expanded(name) for name in dict.fromkeys(expanded_braces(text))]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{text}: of its {len(paths):,} shards {listed_names(missing)} {_are(missing)} not there; fetch "
            f"{_them(missing)}, or name those that are"
        )
    return _source(set_folder(paths[0]).resolve().name, shards_by_split(text, paths, kind), kind)


def source_in(name: str, folder: Path, paths: Iterable[Path], kind: Kind = PARQUET) -> Source:
    """Return the image set of shards in a folder, which is told by their paths from there."""
    found = shards_by_split(str(folder), [path.relative_to(folder) for path in paths], kind)
    files = {split: tuple(folder / path for path in those) for split, those in found.items()}
    return _source(name, files, kind)


def _source(name: str, files: Shards, kind: Kind) -> Source:
    # Each of the two brings what others have no need of.
    if kind is PARQUET:
        from winninghand.images.shards.parquet import parquet_source

        return parquet_source(name, files)
    from winninghand.images.shards.webdataset import webdataset_source

    return webdataset_source(name, files)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"

"""Which parquet files make up an image set, told by their names as the hub lays them out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from winninghand.base.errors import InputError

_SHARD = re.compile(r"-of-0*(\d+)$")


def shards(place: str, paths: Iterable[Path]) -> dict[str, tuple[Path, ...]]:
    """Return the files of the `train` and of the `test` split among `paths`, each in sorted order.

    `paths` are relative to `place`, which errors are headed by. The split is told by a file's name
    (`train-00000-of-00001.parquet`) or its folder's (`train/0000.parquet`). Raises `InputError`
    where a split or a shard is missing, or where several folders hold a set each.
    """
    sets: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(paths):
        split = _split_of(path)
        if split is not None:
            home = path.parent.parent if path.parent.name == split else path.parent
            sets[home][split].append(path)
    if len(sets) > 1:
        names = ", ".join(sorted(str(home) for home in sets))
        raise InputError(f"{place} holds several image sets; give one of them: {place}/ and one of {names}")
    splits = next(iter(sets.values()), {})
    for split in ("train", "test"):
        if split not in splits:
            raise InputError(f"{place} has no parquet file of the {split} split, such as {split}.parquet")
        _check_complete(place, split, splits[split])
    return {split: tuple(splits[split]) for split in ("train", "test")}


def _split_of(path: Path) -> str | None:
    for part in (path.stem, path.parent.name):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in ("train", "test"):
                return word
    return None


def _check_complete(place: str, split: str, paths: Sequence[Path]) -> None:
    total = _SHARD.search(paths[0].stem)
    if total and int(total[1]) != len(paths):
        raise InputError(
            f"{place} holds {len(paths)} of the {int(total[1])} parquet files of the {split} split; "
            "fetch the others"
        )

"""Which parquet files make up an image set, told by their names as the hub lays them out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from winninghand.base.errors import InputError

_SHARD = re.compile(r"(\d{1,9})-of-(\d{1,9})")
_NUMBER = re.compile(r"\d{1,9}")


def shards(place: str, paths: Iterable[Path]) -> dict[str, tuple[Path, ...]]:
    """Return the files of the `train` and of the `test` split among `paths`, each in sorted order.

    `paths` are relative to `place`, which errors are headed by. The split is told by a file's name
    (`train-00000-of-00001.parquet`) or its folder's (`train/0000.parquet`). Raises `InputError`
    where a split or a shard is missing or doubled, or where several folders hold a set each.
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
    """Raise `InputError` unless the files of a split have the numbers from 0 or 1 on, each once.

    What else stands in their names is a fingerprint, or what a file manager adds to a copy.
    """
    found = [_SHARD.search(path.stem) for path in paths]
    totals = {int(one[2]) for one in found if one}
    if len(totals) > 1 or (totals and None in found):
        raise InputError(
            f"{place} holds parquet files of several divisions of the {split} split, such as "
            f"{paths[0].name} and {paths[-1].name}; keep those of one"
        )
    if totals:
        numbers = [int(one[1]) for one in found if one]
        total, least = totals.pop(), 1
    elif all(_NUMBER.fullmatch(path.stem) for path in paths):
        numbers = [int(path.stem) for path in paths]
        # Names such as 0003 count from the first file on, names such as 2017 from anywhere.
        least = 1 if paths[0].stem.startswith("0") else min(numbers)
        total = max(numbers) - min(min(numbers), least) + 1
    else:
        return
    twice = [number for number, count in Counter(numbers).items() if count > 1]
    if twice:
        names = [path.name for path, number in zip(paths, numbers, strict=True) if number == twice[0]]
        raise InputError(
            f"{place} holds part {twice[0]} of the {split} split more than once ({', '.join(names)}); "
            "keep one"
        )
    if len(numbers) != total:
        raise InputError(
            f"{place} holds {len(numbers)} of the {total} parquet files of the {split} split; "
            "fetch the others"
        )
    if min(numbers) > least or max(numbers) - min(numbers) >= total:
        raise InputError(
            f"{place} numbers its {total} parquet files of the {split} split "
            f"{min(numbers)} to {max(numbers)}; fetch them again"
        )

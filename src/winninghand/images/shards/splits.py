"""Which shards are of which split of an image set, and whether all are there."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from winninghand.base.errors import InputError, shown
from winninghand.images.pictures import listed

Shards = dict[str, tuple[Path, ...]]
"""The shards of each split, in order: `train`, `test` and, where they are there, `validation`."""

_SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(("val", "valid", "validation"), "validation")
_OF = re.compile(r"(\d{1,9})-of-(\d{1,9})")
_LONGEST_NAMES = 300


@dataclass(frozen=True)
class Kind:
    """A kind of shard: its suffix, what errors call it, and how names without a total hold its number."""

    suffix: str
    noun: str
    numbered: re.Pattern[str]


PARQUET = Kind(".parquet", "parquet file", re.compile(r"()(\d{1,9})"))
TAR = Kind(".tar", "tar file", re.compile(r"(.*?)(\d{1,9})"))


def shards_by_split(place: str, paths: Iterable[Path], kind: Kind = PARQUET) -> Shards:
    """Return the shards of the train, the test and the validation split among `paths`, each in sorted order.

    `paths` are relative to `place`, which errors are headed by. The split is told by a file's name
    (`train-00000-of-00001.parquet`) or its folder's (`train/0000.parquet`). Where there is no test split,
    that for validation is it; where there is one, a validation split that is not whole is left out. Raises
    `InputError` where a split or a shard is missing or doubled, or where several folders hold a set each.
    """
    sets: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(paths):
        split = split_of(path)
        if split is not None:
            sets[set_folder(path)][split].append(path)
    folders = [folder for folder, splits in sets.items() if splits.keys() & {"train", "test"}]
    if len(folders) > 1:
        names = ", ".join(sorted(str(folder) for folder in folders))
        raise InputError(f"{place} holds several image sets; give one of them: {place}/ and one of {names}")
    found = sets[folders[0]] if folders else {}
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    for split in ("train", "test"):
        if split not in found:
            raise InputError(
                f"{place} has no {kind.noun} of the {split} split, such as {split}{kind.suffix}; add it"
            )
        _check_complete(place, split, found[split], kind)
    if "validation" in found:
        try:
            _check_complete(place, "validation", found["validation"], kind)
        except InputError:  # mostly nobody needs it
            del found["validation"]
    return {split: tuple(found[split]) for split in ("train", "test", "validation") if split in found}


def split_of(path: Path) -> str | None:
    """Return the split that a shard is of, by its name or its folder's; `None` where neither says it."""
    for part in (path.stem, path.parent.name):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in _SPLITS:
                return _SPLITS[word]
    return None


def set_folder(path: Path) -> Path:
    """Return the folder of the set that a shard is of: where its own is that of a split, the one above."""
    return path.parent.parent if _SPLITS.get(path.parent.name.lower()) == split_of(path) else path.parent


def _check_complete(place: str, split: str, paths: Sequence[Path], kind: Kind) -> None:
    """Raise `InputError` unless the files of a split have the numbers from 0 or 1 on, each once.

    What else stands in their names is a fingerprint, or what a file manager adds to a copy.
    """
    of_total = [match for path in paths if (match := _OF.search(path.stem))]
    totals = {int(match[2]) for match in of_total}
    if len(totals) > 1 or (totals and len(of_total) < len(paths)):
        raise InputError(
            f"{place} holds {kind.noun}s of several divisions of the {split} split, such as "
            f"{paths[0].name} and {paths[-1].name}; keep those of one"
        )
    if totals:
        numbers = [int(match[1]) for match in of_total]
        total = totals.pop()
        first = int(total in numbers)
        _check_numbers(place, split, paths, kind, (numbers, first, total))
        return
    matches = [kind.numbered.fullmatch(path.stem) for path in paths]
    if None in matches:
        return
    by_beginning: dict[str, list[tuple[Path, str]]] = defaultdict(list)
    for path, match in zip(paths, matches, strict=True):
        if match is not None:
            by_beginning[match[1]].append((path, match[2]))
    for group in by_beginning.values():
        numbers = [int(digits) for _, digits in group]
        # Names such as 0003 count from the first file on, names such as 2017 from anywhere.
        first = min(*numbers, 1) if group[0][1].startswith("0") else min(numbers)
        counted_on = (numbers, first, max(numbers) - first + 1)
        _check_numbers(place, split, [path for path, _ in group], kind, counted_on)


def _check_numbers(
    place: str, split: str, paths: Sequence[Path], kind: Kind, counted_on: tuple[list[int], int, int]
) -> None:
    """Raise `InputError` unless the `numbers` of files are `total` ones from `first` on, each once."""
    numbers, first, total = counted_on
    twice = [number for number, count in Counter(numbers).items() if count > 1]
    if twice:
        names = [path.name for path, number in zip(paths, numbers, strict=True) if number == twice[0]]
        raise InputError(
            f"{place} holds part {twice[0]} of the {split} split more than once ({', '.join(names)}); "
            "keep one"
        )
    if len(numbers) != total:
        there = set(numbers)
        missing = [
            _named(paths[0], number, kind) for number in range(first, first + total) if number not in there
        ]
        raise InputError(
            f"{place} holds {len(numbers)} of the {total} {kind.noun}s of the {split} split; fetch "
            f"{listed_names(missing)}"
        )
    if min(numbers) < first or max(numbers) >= first + total:
        raise InputError(
            f"{place} numbers its {total} {kind.noun}s of the {split} split "
            f"{min(numbers)} to {max(numbers)}; fetch them again"
        )


def _named(path: Path, number: int, kind: Kind) -> str:
    """Return what the shard of another number is called, as far as a name says that."""
    match = _OF.search(path.stem) or kind.numbered.fullmatch(path.stem)
    if match is None:
        return str(number)
    group = 1 if match.re is _OF else 2
    start, end = match.span(group)
    rest = "" if match.end() == len(path.stem) else "…"
    return f"{path.stem[:start]}{number:0{end - start}}{path.stem[end : match.end()]}{rest}{path.suffix}"


def listed_names(names: Sequence[str]) -> str:
    """Return the names of shards, as far as a line holds them."""
    return listed([shown(name, 100) for name in names], ", ", _LONGEST_NAMES)

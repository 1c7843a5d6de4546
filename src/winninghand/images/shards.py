"""Image sets in shards, parquet files or tar files: which are of which split, and whether all are there."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from winninghand.base.errors import InputError, shown
from winninghand.base.files import expanded
from winninghand.images.pictures import listed
from winninghand.images.source import Source

Shards = dict[str, tuple[Path, ...]]
"""The shards of each split, in order: `train`, `test` and, where they are there, `validation`."""

_SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(("val", "valid", "validation"), "validation")
_OF = re.compile(r"(\d{1,9})-of-(\d{1,9})")
_LONGEST_NAMES = 300
_MOST_SHARDS = 10**6
_TARS = (".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True)
class Kind:
    """A kind of shard: its suffix, what errors call it, and how names without a total hold its number."""

    suffix: str
    noun: str
    numbered: re.Pattern[str]


PARQUET = Kind(".parquet", "parquet file", re.compile(r"()(\d{1,9})"))
TAR = Kind(".tar", "tar file", re.compile(r"(.*?)(\d{1,9})"))


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
    found = [path for path in every if _split_of(path.relative_to(folder))]
    if not found:
        return None
    compressed = [path.name for path in found if path.suffix != TAR.suffix]
    if compressed:
        raise InputError(
            f"{folder} holds {_listed(compressed)}, and members are read from their places in a file that is "
            f"not compressed; unpack {_them(compressed)} to {TAR.suffix}, such as by gunzip"
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
    paths = [expanded(name) for name in dict.fromkeys(_expanded(text, text))]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{text}: of its {len(paths):,} shards {_listed(missing)} {_are(missing)} not there; fetch "
            f"{_them(missing)}, or name those that are"
        )
    return _source(_home(paths[0]).resolve().name, shards(text, paths, kind), kind)


def _expanded(text: str, whole: str) -> Iterator[str]:
    """Yield what a pattern stands for: `{a,b}` is each of its parts, `{00..12}` each number of that width."""
    start = text.find("{")
    if start < 0:
        yield text
        return
    depth, parts, begin = 0, list[str](), start + 1
    for place in range(start, len(text)):
        letter = text[place]
        depth += (letter == "{") - (letter == "}")
        if (letter == "," and depth == 1) or depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
        if depth == 0:
            break
    numbers = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", parts[0]) if len(parts) == 1 else None
    first, last = (int(number) for number in numbers.groups()) if numbers else (0, 0)
    if depth or (len(parts) < 2 and not numbers) or not 0 <= last - first < _MOST_SHARDS:
        raise InputError(f"{whole} is no pattern of shards; write one such as train-{{000000..000146}}.tar")
    if numbers:
        parts = [f"{number:0{len(numbers[1])}}" for number in range(first, last + 1)]
    for part in parts:
        for inside in _expanded(part, whole):
            for after in _expanded(text[begin:], whole):
                yield text[:start] + inside + after


def source_in(name: str, folder: Path, paths: Iterable[Path], kind: Kind = PARQUET) -> Source:
    """Return the image set of shards in a folder, which is told by their paths from there."""
    found = shards(str(folder), [path.relative_to(folder) for path in paths], kind)
    files = {split: tuple(folder / path for path in those) for split, those in found.items()}
    return _source(name, files, kind)


def _source(name: str, files: Shards, kind: Kind) -> Source:
    # Each of the two brings what others have no need of.
    if kind is PARQUET:
        from winninghand.images.parquet import parquet_source

        return parquet_source(name, files)
    from winninghand.images.webdataset import webdataset_source

    return webdataset_source(name, files)


def shards(place: str, paths: Iterable[Path], kind: Kind = PARQUET) -> Shards:
    """Return the shards of the train, the test and the validation split among `paths`, each in sorted order.

    `paths` are relative to `place`, which errors are headed by. The split is told by a file's name
    (`train-00000-of-00001.parquet`) or its folder's (`train/0000.parquet`). Where there is no test split,
    that for validation is it; where there is one, a validation split that is not whole is left out. Raises
    `InputError` where a split or a shard is missing or doubled, or where several folders hold a set each.
    """
    sets: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(paths):
        split = _split_of(path)
        if split is not None:
            sets[_home(path)][split].append(path)
    homes = [home for home, splits in sets.items() if splits.keys() & {"train", "test"}]
    if len(homes) > 1:
        names = ", ".join(sorted(str(home) for home in homes))
        raise InputError(f"{place} holds several image sets; give one of them: {place}/ and one of {names}")
    found = sets[homes[0]] if homes else {}
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


def _split_of(path: Path) -> str | None:
    for part in (path.stem, path.parent.name):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in _SPLITS:
                return _SPLITS[word]
    return None


def _home(path: Path) -> Path:
    """Return the folder of the set that a shard is of: where its own is that of a split, the one above."""
    return path.parent.parent if _SPLITS.get(path.parent.name.lower()) == _split_of(path) else path.parent


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
            f"{_listed(missing)}"
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


def _listed(names: Sequence[str]) -> str:
    return listed([shown(name, 100) for name in names], ", ", _LONGEST_NAMES)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"

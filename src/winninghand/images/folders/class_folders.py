"""Folders of image files: `train/CLASS/…` and `test/CLASS/…`, or class folders alone."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np

from winninghand.base.errors import InputError, checked_classes, counted, shown
from winninghand.images.checks import Int64Array
from winninghand.images.folders.class_files import Classes, ClassFiles, named
from winninghand.images.folders.label_files import label_file, labelled, without_labels
from winninghand.images.image_set import ImageSet, Split
from winninghand.images.pictures import Other, Picture, image_files, is_picture, left_out
from winninghand.images.preparation import Origin, Preparation
from winninghand.images.source import Source, drawn_set, picture_set

_LOG = logging.getLogger(__name__)
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""What the folder of a split may be called, in letters of any size."""
_PASSED_OVER = (".", "__MACOSX")
"""How the names of folders begin that no person made."""
_DEEPEST = 8
_IMAGES = "images"
"""Where Tiny-ImageNet keeps the images of `val/` and `test/`, which are in no class folders."""


def class_folders(folder: Path) -> Source | None:
    """Return the image set in `folder`, or `None` where no folder below it holds images.

    It holds one folder for each class, or such folders under `train/`, `val/` and `test/` (or the other names
    of these). Where there is no test folder that of validation images is it; where there is neither, test
    images are drawn from all that can be read. Where there are both, images for validation are put to those
    to train on. Images to test without class folders have their classes from a file beside them (see
    `label_file`); where nothing names those of `test/`, `val/` is the test set. A folder that holds nothing
    but one folder of folders stands for that. Classes are the sorted names of the folders, in composed
    letters (NFC); images are files at any depth below, told by their suffixes; other files are named in one
    line.
    Raises `InputError` where a split or a class has no images, for a single class, and where two splits have
    different classes.
    """
    if not folder.is_dir():
        return None
    place, others = _innermost(folder), list[Other]()
    beside = _pictures_in(place)
    splits = _splits(place)
    if splits:
        files = _of_splits(place, splits, others)
        beside += [path for path in _folders(place) if path not in splits.values()]
        beside += [path for split in splits.values() if _folders(split) for path in _pictures_in(split)]
    else:
        classes = _classes(place, others, optional=True)
        if not classes and not beside:
            return None
        if not classes:
            raise InputError(
                f"{place} holds {counted(len(beside), 'image')} and no class folders; put the images of "
                "each class into a folder of its own"
            )
        files = ClassFiles(place, classes, None)
    if len(files.train) < 2:
        raise InputError(
            f"{place} has one class alone, {named(files.train)}; a classifier needs two class folders"
        )
    try:
        checked_classes([*files.train])  # before anything is decoded
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    if others:
        _LOG.warning("%s: %s", shown(folder), left_out(others))
    if beside:
        _LOG.warning(
            "%s: left out, as it is in no class folder: %s",
            shown(folder),
            named(path.name for path in beside),
        )
    name = folder.resolve().name
    return Source(name, files.everything, lambda how: _decode(name, files, how), files.test is None, True)


def _innermost(folder: Path) -> Path:
    """Return the folder itself, or what it holds where that is one folder of folders and nothing else."""
    for _ in range(_DEEPEST):
        inside = _entries(folder)
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].name.lower() in _SPLITS:
            break
        below = _folders(inside[0])
        divided = any(path.name.lower() in _SPLITS for path in below)
        if not divided and (not below or any(map(is_picture, _entries(inside[0])))):
            break
        folder = inside[0]
    return folder


def _splits(place: Path) -> dict[str, Path]:
    """Return the folders of splits in a folder by what they are for, none where it holds class folders.

    A class may be called "train", too: so are they taken where none holds folders and others are beside.
    """
    folders = _folders(place)
    splits = [path for path in folders if path.name.lower() in _SPLITS]
    if not splits or (len(splits) < len(folders) and not any(map(_folders, splits))):
        return {}
    found: dict[str, Path] = {}
    for path in splits:
        kind = _SPLITS[path.name.lower()]
        if kind in found:
            raise InputError(f"{place} has two folders of {kind} images, {found[kind].name} and {path.name}")
        found[kind] = path
    if "train" not in found:
        raise InputError(f"{place} has {named(path.name for path in splits)}, but no folder train; add one")
    return found


def _of_splits(place: Path, splits: dict[str, Path], others: list[Other]) -> ClassFiles:
    found, label_files = {"train": _classes(splits["train"], others)}, []
    for kind, split in splits.items():
        if kind == "train":
            continue
        flat = _flat(split, found["train"])
        around = [flat[0].parent, split, place] if flat else []
        file = label_file(around)
        if not flat:
            found[kind] = _classes(split, others)
        elif file is not None:
            found[kind] = labelled(flat, file, found["train"])
            label_files.append(file)
        elif kind == "test" and "validation" in splits:
            _LOG.warning("%s: left out, as nothing names the classes of its images", shown(split))
        else:
            raise without_labels(split, len(flat), around)
    train, test, kept = found["train"], found.get("test"), found.get("validation")
    if test is None and kept is not None:
        test, kept, splits = kept, None, {**splits, "test": splits["validation"]}
    if test is not None and set(train) != set(test):
        sides = [
            f"class {named(sorted(set(one) - set(other)))} under {there.name}/ but not under {missing.name}/"
            for one, other, there, missing in (
                (train, test, splits["train"], splits["test"]),
                (test, train, splits["test"], splits["train"]),
            )
            if set(one) - set(other)
        ]
        raise InputError(f"{place} has {' and '.join(sides)}; add or remove it")
    if kept is not None:
        unknown = sorted(set(kept) - set(train))
        if unknown:
            raise InputError(
                f"{place} has class {named(unknown)} under {splits['validation'].name}/ but not under "
                f"{splits['train'].name}/; add or remove it"
            )
        train = {name: [*paths, *kept.get(name, [])] for name, paths in train.items()}
    return ClassFiles(place, train, test, kept is not None, tuple(label_files))


def _flat(split: Path, classes: Classes) -> list[Path]:
    """Return the images of a split that has no class folders, in it or in one folder `images`; else none."""
    folders = _folders(split)
    if [path.name for path in folders] == [_IMAGES] and _IMAGES not in classes:
        split, folders = folders[0], _folders(folders[0])
    return [] if folders else _pictures_in(split)


def _pictures_in(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if is_picture(path)]


def _classes(split: Path, others: list[Other], optional: bool = False) -> Classes:
    """Return the image files of each class folder in a folder, sorted; other files are added to `others`.

    With `optional` there need be none.
    """
    folders = [path for path in _folders(split) if not path.name.startswith(_PASSED_OVER)]
    if not folders and not optional:
        raise InputError(f"{split} holds no class folders; add one folder of images per class")
    classes: Classes = {}
    beside: dict[str, list[Other]] = {}
    place = split.resolve()
    for folder in folders:
        if place.is_relative_to(folder.resolve()):
            raise InputError(f"the class folder {folder} is a link to what it lies in; remove it")
        # File systems compose letters differently, so that one folder has other names on other machines.
        name = normalize("NFC", folder.name)
        if name in classes:
            raise InputError(f"{split} has two class folders that read {name!r}; make them one")
        classes[name], beside[name] = image_files(folder)
    classes = dict(sorted(classes.items()))
    empty = [name for name, paths in classes.items() if not paths]
    if optional and len(empty) == len(classes):
        return {}
    if empty:
        missed = [other for name in empty for other in beside[name]]
        also = f": {left_out(missed)}" if missed else ""
        which = f"folder {split / empty[0]} holds" if len(empty) == 1 else f"folders {named(empty)} hold"
        raise InputError(f"the class {which} no images{also}; add some or remove it")
    others += [other for found in beside.values() for other in found]
    return classes


def _entries(folder: Path) -> list[Path]:
    """Return what a folder holds, sorted; hidden things are passed over."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(_PASSED_OVER))
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}); give yourself the right to") from None


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _decode(name: str, files: ClassFiles, how: Preparation) -> ImageSet:
    files.check()
    if how.stream:
        return _streamed(name, files, how)
    train, classes = _pictures(files.train), list(files.train)
    if files.test is None:
        images = drawn_set(name, *train, classes, how, lambda kept: files.draw(kept, how))
    else:
        images = picture_set(name, train, _pictures(files.test), classes, how)
    assert images.origin is not None
    return replace(images, origin=replace(images.origin, joined=files.joined))


def _streamed(name: str, files: ClassFiles, how: Preparation) -> ImageSet:
    """Return the image set whose images stay in their files."""
    # Of which others have no need.
    from winninghand.images.folders.picture_files import PictureFiles
    from winninghand.images.streamed import streamed_split

    def split(classes: Classes) -> Split:
        names = tuple(str(path.relative_to(files.folder)) for paths in classes.values() for path in paths)
        source = PictureFiles(files.folder, names, _labels(classes))
        return streamed_split(source, source.labels, how)

    train = split(files.train)
    if files.test is None:
        is_test = files.draw(np.arange(len(train), dtype=np.int64), how)
        train, test = train.take(np.flatnonzero(~is_test)), train.take(np.flatnonzero(is_test))
    else:
        test = split(files.test)
    origin = Origin(how, drawn=files.test is None, joined=files.joined)
    return ImageSet(train, test, tuple(files.train), name, origin)


def _pictures(classes: Classes) -> tuple[list[Picture], Int64Array]:
    pictures = [Picture(str(path), path) for paths in classes.values() for path in paths]
    return pictures, _labels(classes)


def _labels(classes: Classes) -> Int64Array:
    counts = [len(paths) for paths in classes.values()]
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts)

"""Image sets by name or by path."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from winninghand.base.errors import InputError, checked_path, counted, shown
from winninghand.base.files import expanded
from winninghand.base.registry import PartError, nearest
from winninghand.hub.address import PREFIX
from winninghand.images.cache import decoded_once
from winninghand.images.hub import from_hub
from winninghand.images.image_set import ImageSet
from winninghand.images.pictures import OtherSizeError, listed
from winninghand.images.preparation import Preparation, make_preparation
from winninghand.images.resizing import Size
from winninghand.images.shards.layouts import pattern
from winninghand.images.source import IMAGE_SETS, LAYOUTS, NoStreamError, Source, checked_source

_LOG = logging.getLogger("winninghand")


def load_images(
    source: str | Path = "digits",
    root: str | Path | None = None,
    size: int | Size | None = None,
    transform: str = "crop",
    skip_broken: bool = False,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    stream: bool = False,
) -> ImageSet:
    """Return the image set that `source` names, decoded once and memory-mapped from then on.

    `source` is `digits`, `cifar10`, `cifar100`; a folder of class folders, by themselves or under `train/`,
    `val/` and `test/`; a folder of parquet files in the hub's layout, or of WebDataset shards (tar files);
    a brace pattern of either, such as `set/{train-{000..146},val-{000..006}}.tar`; an `.npz` file; or
    `hf:OWNER/NAME`.
    `root` is the folder in which named sets are looked for before they are downloaded. `size`
    is the height and width (or the one side of a square) that all images are brought to;
    without it they keep their size, which must then be the same for all.

    `transform` says how: `crop` cuts out the largest part in the middle that has the shape of `size`,
    `squash` changes the proportions, `pad` fills up with black. `skip_broken` leaves out files that
    cannot be read, and says so; otherwise all of them are named in one `InputError`. Of class folders without
    test images, the fraction `test_fraction` of each class is drawn as these by `split_seed`; one image of
    each class at least, and the same ones each time. `stream` leaves the images of class folders, parquet
    files and shards in their files: they are decoded when they are needed, and each step of a training sees a
    random part of each.
    These settings are those of a recipe's `[images]` table,
    and `card.metadata.preparation.model_dump()` gives those that a card was trained with.

    Raises `InputError` where the source is unknown, not there, broken or inconsistent.
    """
    try:
        how = make_preparation(size, transform, skip_broken, test_fraction, split_seed, stream)
        return prepared_images(source, root, how)
    except OtherSizeError as error:
        raise error.with_broken(skip_broken) from None


def prepared_images(source: str | Path, root: str | Path | None, how: Preparation) -> ImageSet:
    """Do what `load_images` does; of several sizes `OtherSizeError` is raised before all files are read."""
    for name, given in (("the image set", source), ("root", root)):
        if given is not None or name != "root":
            checked_path(name, given, "a name or a path")
    try:
        images = _loaded(source, root, how)
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise InputError(f"{shown(source)} cannot be read ({error.strerror or error})") from None
    origin = images.origin
    if origin is not None and origin.broken:
        files = counted(len(origin.broken), "image that cannot be read is", "images that cannot be read are")
        _LOG.warning("%s: %s left out: %s", shown(images.name), files, listed(origin.broken))
    return images


_BRACES = (
    "name shards by numbers in braces, such as '{train-{000000..000146},val-{000000..000006}}.tar', or by "
    "their folder"
)


def _loaded(source: str | Path, root: str | Path | None, how: Preparation) -> ImageSet:
    folder = None if root is None else expanded(root)
    if folder is not None and not folder.is_dir():
        raise InputError(
            f"root {str(root)!r} is not a folder; give the folder that holds the image sets, or leave root "
            "out to fetch a named one"
        )
    found = _found(source, folder)
    if how.stream and not found.streams:
        raise NoStreamError(
            f"{shown(found.name)} cannot be streamed, as class folders, parquet files and tar files can; "
            "leave out --stream (in Python stream=True)"
        )
    return decoded_once(found, how)


def _found(source: str | Path, root: Path | None) -> Source:
    text = str(source)
    if text.startswith(PREFIX):
        return from_hub(text)
    path = expanded(source)
    named = isinstance(source, str) and source in IMAGE_SETS
    if not named and path.exists():
        return _in_place(path)
    found = None if named else pattern(text)
    if found is not None:
        return found
    if isinstance(source, Path) or "/" in text or os.sep in text or path.suffix:
        advice = _BRACES if set(text) & set("*?[") else "check the path"
        raise InputError(f"there is no file or folder {text!r}; {advice}")
    if text not in IMAGE_SETS:
        advice = nearest(text, IMAGE_SETS)
        raise InputError(f"unknown image set {shown(repr(text))}, and no such folder; {advice}")
    find = IMAGE_SETS[text]
    with IMAGE_SETS.called(text):
        return checked_source(find(root), IMAGE_SETS, text)


def _in_place(path: Path) -> Source:
    for name in LAYOUTS:
        try:
            read = LAYOUTS[name]
            with LAYOUTS.called(name):
                found = read(path)
                if found is not None:
                    return checked_source(found, LAYOUTS, name)
        except PartError as error:  # must not stand in the way of the other layouts
            _LOG.warning("left out: %s", error)
    if path.is_dir() and not any(path.iterdir()):
        raise InputError(f"the folder {str(path)!r} is empty; give one that holds images")
    raise InputError(
        f"{str(path)!r} holds no images in a known layout: class folders, alone or under train/ and "
        "test/, parquet files or WebDataset shards of a train and a test split, or an .npz file"
    )

"""Files that name the classes of images which lie together, as those of `val/` in ImageNet do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from unicodedata import normalize

from winninghand.base.errors import InputError, counted, shown
from winninghand.base.files import regular
from winninghand.images.folders.class_files import Classes, named

_NAMED = ("val_annotations.txt", "LOC_val_solution.csv")
"""Tiny-ImageNet's and that of ImageNet on Kaggle: each line begins with an image's name and its class."""
_IN_ORDER = ("imagenet_2012_validation_synset_labels.txt", "synset_labels.txt")
"""As TensorFlow's scripts know them: a class on each line, in the order of the images' names."""
_NUMBERED = "ILSVRC2012_validation_ground_truth.txt"
_LONGEST = 2**26


def label_file(folders: Sequence[Path]) -> Path | None:
    """Return the first file in some folders that names the classes of images, None where there is none."""
    paths = (folder / name for folder in folders for name in (*_NAMED, *_IN_ORDER))
    return next((path for path in paths if path.is_file()), None)


def without_labels(split: Path, count: int, folders: Sequence[Path]) -> InputError:
    """Return the error that says what to do about `count` images that nothing names the classes of."""
    numbered = any((folder / _NUMBERED).is_file() for folder in folders)
    why = f" ({_NUMBERED} numbers classes in an order of its own)" if numbered else ""
    return InputError(
        f"{split} holds {counted(count, 'image')} and no class folders{why}; put each into the folder of its "
        f"class, or put a file {_NAMED[0]} of lines IMAGE CLASS, {_NAMED[1]} or {_IN_ORDER[0]} beside them"
    )


def labelled(images: Sequence[Path], file: Path, classes: Collection[str]) -> Classes:
    """Return images, sorted by their names, by the class that a file names for each, sorted.

    Raises `InputError` where the file cannot be read, where it and the images do not fit together, and where
    it names another class than `classes`.
    """
    lines = [(number, line) for number, line in enumerate(_lines(file), start=1) if line.strip()]
    if file.name in _IN_ORDER:
        if len(lines) != len(images):
            raise InputError(
                f"{file} names the classes of {counted(len(lines), 'image')}, and there are {len(images):,}; "
                "get the images and the file again"
            )
        pairs = [(path, line.strip()) for path, (_, line) in zip(images, lines, strict=True)]
    else:
        pairs = _by_name(images, lines, file)
    unknown = sorted({name for _, name in pairs} - set(classes))
    if unknown:
        raise InputError(
            f"{file} names class {named(unknown)}, which has no folder under train/; add or remove it"
        )
    found: Classes = {name: [] for name in sorted({name for _, name in pairs})}
    for path, name in sorted(pairs):
        found[name].append(path)
    return found


def _by_name(images: Sequence[Path], lines: Sequence[tuple[int, str]], file: Path) -> list[tuple[Path, str]]:
    """Return images and their classes of lines that name both, the image with or without its suffix."""
    paths = {name: path for path in images for name in (path.stem, path.name)}
    if lines and lines[0][1].startswith("ImageId,"):  # the heads of Kaggle's columns
        lines = lines[1:]
    found: dict[Path, str] = {}
    missing = []
    for number, line in lines:
        image, kind = _image_and_class(line)
        if not kind:
            raise InputError(
                f"{file} line {number} names no image and its class: {shown(repr(line), 60)}; get it anew"
            )
        path = paths.get(image)
        if path is None:
            missing.append(image)
        elif path in found:
            raise InputError(f"{file} names {image!r} twice, again in line {number}; get it anew")
        else:
            found[path] = kind
    if missing:
        raise InputError(
            f"{counted(len(missing), 'image')} that {file} names cannot be found: {named(missing)}; "
            "get the images again"
        )
    nameless = [path.name for path in images if path not in found]
    if nameless:
        raise InputError(
            f"{file} names no class for {counted(len(nameless), 'image')}: {named(nameless)}; get it anew, "
            "or remove them"
        )
    return list(found.items())


def _image_and_class(line: str) -> tuple[str, str]:
    """Return the first two fields of a line, empty where there are none; what follows is where a thing is."""
    if "\t" in line:
        image, kind, *_ = line.split("\t")
        return image.strip(), kind.strip()
    between = "," if "," in line else None
    image, *rest = line.split(between, 1)
    return image.strip(), next(iter(rest[0].split()), "") if rest else ""


def _lines(file: Path) -> list[str]:
    try:
        if regular(file).stat().st_size > _LONGEST:
            raise InputError(f"{file} is larger than {_LONGEST:,} bytes; get it anew")
        return normalize("NFC", file.read_text(encoding="utf-8")).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read ({error}); get it anew") from None

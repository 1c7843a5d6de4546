"""ImageNet-C's and Tiny-ImageNet-C's layout: `<corruption>/<severity>/<class>/<name>.JPEG`, read and written.

Labels are the places of the class folders in sorted order. A severity's folder appears whole, so that an
interrupted run goes on where it stopped; `archive.json` is that of the other layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from winninghand.base.errors import InputError
from winninghand.base.locks import check_held, folder_lock
from winninghand.base.randomness import image_indices
from winninghand.corruptions.archive import (
    PIXELS_AT_ONCE,
    Archive,
    Int64Array,
    Pixels,
    Progress,
    UInt8Array,
    begin_archive,
    check_writable,
    describe,
    open_arrays,
    read_description,
    with_channels,
)
from winninghand.corruptions.corrupt import CORRUPTIONS, SEVERITIES, corrupt, corruption_names
from winninghand.corruptions.pictures import (
    Pictures,
    check_same_classes,
    checked_class_names,
    listed,
    severity_folders,
    write_cell,
)


@dataclass(frozen=True)
class FolderArchive(Archive):
    """An archive of picture files; `files` are their paths in each cell, in the labels' order."""

    files: tuple[str, ...] = ()

    @property
    def saved_as(self) -> str:
        """How its images are saved, as `corrupt` names it."""
        return "jpeg"

    def path_of(self, name: str) -> Path:
        """Return the folder of one corruption."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Return whether a corruption has a folder for each severity."""
        return set(self.severities) <= set(severity_folders(self.folder, name))

    def cell(self, name: str, severity: int) -> Pictures:
        """Return the images of one corruption at one severity, which are read when they are asked for.

        Raises `InputError` when the archive does not have that cell, or has other class folders there.
        """
        if severity not in self.severities:
            raise InputError(f"{self.folder} has the severities {list(self.severities)}, not {severity!r}")
        if not self.has(name):
            raise InputError(f"{self.path_of(name)} is missing; get the archive again or write it anew")
        first = self.path_of(self.names[0]) / str(self.severities[0])
        check_same_classes(self.path_of(name) / str(severity), first)
        return Pictures(self.path_of(name) / str(severity), self.files)


def open_archive(folder: Path | str) -> Archive | None:
    """Return the archive in `folder`, of either layout, or None when there is none of any corruption.

    Raises `InputError` when its labels are missing, damaged or not the same for every severity, and
    when a folder of a severity holds no pictures.
    """
    folder = Path(folder)
    arrays = open_arrays(folder)
    if arrays is not None:
        return arrays
    found = {name: severity_folders(folder, name) for name in CORRUPTIONS}
    names = [name for name, levels in found.items() if levels]
    if not names:
        return None
    description = read_description(folder)
    levels = found[names[0]] if description is None else description.severities
    files, labels = listed(folder / names[0] / str(levels[0]))
    named = len(files) if description is None else len(description.indices or ())
    if named != len(files):
        raise InputError(
            f"{folder} names {named} images and holds {len(files)}; "
            "delete the folder and write the archive anew"
        )
    return FolderArchive(folder, labels, levels, description, files)


def write_folders(
    images: Pixels,
    labels: Int64Array,
    classes: Sequence[str],
    folder: Path | str,
    names: str | Sequence[str] = "common",
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    indices: Int64Array | None = None,
    progress: Progress = lambda name, severity: None,
    parameters: str = "auto",
) -> FolderArchive:
    """Write `images` under corruptions as JPEG files of quality 85 in class folders, as ImageNet-C's.

    The arguments are those of `write_archive`; `classes` names the class folders, in sorted order. A
    file is named after its image's place in the split. The archive has the images class by class.
    Raises `InputError` as `write_archive` does, and for class names that are not sorted or no names of
    folders.
    """
    folder = Path(folder)
    chosen = corruption_names(names)
    labels = np.asarray(labels, dtype=np.int64)
    check_writable(images, labels, chosen)
    images = with_channels(images)
    places = image_indices(indices, len(images), 0).numpy()
    order = np.lexsort((places, labels))
    folders = checked_class_names(classes, labels)
    files = tuple(f"{folders[labels[row]]}/{places[row]:08d}.JPEG" for row in order)
    description = describe(images, labels, severities, seed, places[order], parameters)
    archive = FolderArchive(folder, labels[order], description.severities, description, files)
    at_once = max(1, PIXELS_AT_ONCE // (images.shape[1] * images.shape[2]))
    with folder_lock(folder):
        begin_archive(folder, description)
        for name in chosen:
            (folder / name).mkdir(exist_ok=True)
            for level in description.severities:
                if not (folder / name / str(level)).is_dir():
                    check_held(folder)

                    def made(part: slice, name: str = name, level: int = level) -> UInt8Array:
                        rows = order[part]
                        return corrupt(
                            images[rows], name, level, seed, 0, places[rows], description.parameters
                        )

                    write_cell(folder / name / str(level), folders, files, made, at_once)
                progress(name, level)
    return archive

"""Which files of a folder are pictures of a format that is read, and how many are not."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.base.text import shown

FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""The formats that are read and their suffixes, in the order they are tried: common ones first.

None of them holds another picture that its reader would hand on to a program, as IPTC and EPS do.
"""
_SUFFIXES = {suffix for suffixes in FORMATS.values() for suffix in suffixes}


def image_files(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Return the image files at any depth below a folder, sorted, and how many others there are by suffix.

    Files are told by their suffixes. Hidden ones and those in hidden folders are passed over; a folder
    that is a link is not gone into, and is counted. Raises `InputError` for a folder that cannot be read.
    """
    found: list[Path] = []
    others: Counter[str] = Counter()
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if Path(place, name).is_symlink()]
        others.update(["linked folder"] * len(links))
        for name in names:
            path = Path(place, name)
            if not name.startswith("."):
                if path.suffix.lower() in _SUFFIXES and path.is_file():
                    found.append(path)
                else:
                    others[path.suffix.lower() or "no suffix"] += 1
    return sorted(found), others


def left_out(others: Counter[str]) -> str:
    """Return one line on files that are no images of a known format, such as "3 files (.heic 2, .txt 1)"."""
    ordered = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{shown(kind, 20)} {count:,}" for kind, count in ordered[:5])
    more = ", …" if len(others) > 5 else ""
    return f"{others.total():,} files that are no {', '.join(FORMATS)} are left out ({kinds}{more})"


def _refuse(error: OSError) -> None:
    raise InputError(
        f"{error.filename} cannot be read ({error.strerror}); give yourself the right to, or move it"
    )

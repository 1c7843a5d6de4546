"""How much the files of an image set may hold, checked before anything of that size is allocated."""

from __future__ import annotations

import os
from pathlib import Path

from winninghand.base.errors import InputError

MOST_CLASSES = 65536
PLAIN_BYTES = 2**28
_INFLATION = 20


def allowance(path: Path) -> int:
    """Return the number of bytes that the contents of a compressed file may take in memory.

    Pictures and pixels hardly compress: 256 MiB and twenty times the size of the file are enough for
    every honest one, and keep a small file from filling the memory.
    """
    return PLAIN_BYTES + _INFLATION * path.stat().st_size


def check_inflation(path: Path, declared: int) -> None:
    """Raise `InputError` where a file says that its contents are larger than they may be."""
    if declared > allowance(path):
        raise InputError(
            f"{path} of {path.stat().st_size:,} bytes would take {declared:,} bytes of memory; "
            "it is damaged or made to fill the memory, get it from where you trust it"
        )


def check_memory(count: int, size: tuple[int, int]) -> None:
    """Raise `InputError` where `count` images of `size` (height, width) need more memory than there is."""
    needed, there = count * size[0] * size[1] * 3, _memory()
    if needed > there:
        raise InputError(
            f"{count:,} images of {size[0]}×{size[1]} pixels take {needed:,} bytes and this machine has "
            f"{there:,}; give a smaller size or fewer images"
        )


def _memory() -> int:
    """Return the machine's memory in bytes, or 64 GiB where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 2**36

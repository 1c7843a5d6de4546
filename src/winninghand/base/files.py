"""Files that appear whole or not at all, and what a killed writer leaves of them."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from winninghand.base.errors import InputError

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be deleted
    fcntl = None  # type: ignore[assignment]

# What `tempfile` draws names from. The second form is that of version 0.1.
_TEMPORARY = re.compile(
    r"\..+\.[a-z0-9_]{8}\.tmp(\.[^.]+)?"
    r"|\..+(?P<suffix>\.[^.]+)\.[a-z0-9_]{8}(?P=suffix)"
)
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well the file is moved to `path` in one step.

    The file is written beside its target, flushed to disk and renamed, so that a reader or a kill
    at any moment finds the old file or the new one. When the block raises, nothing is left. The
    temporary file is called `.NAME.xxxxxxxx.tmp.SUFFIX`: it ends as its target does, because some
    writers choose a format by that. A symbolic link stays one, and what it points to is replaced. A
    device or a pipe is written to.

    Raises `InputError` where the disk is full and where the folder is missing rights or is a file.
    """
    target = Path(os.path.realpath(path))
    special = target.exists() and not target.is_file()
    if target.is_dir():
        raise InputError(f"{path} is a folder; give the path of a file")
    with _told(target):
        folder = Path(tempfile.gettempdir()) if special else target.parent
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(f".tmp{target.suffix}", f".{target.name}.", folder)
    tmp = Path(name)
    try:
        _claim(handle)
        try:
            yield tmp
        except OSError as error:
            if error.errno in _DISK_ERRORS:
                raise _unwritable(target, error) from error
            raise
        with _told(target):
            with tmp.open("rb+") as file:
                os.fsync(file.fileno())
            if special:
                with tmp.open("rb") as file, target.open("wb") as device:
                    shutil.copyfileobj(file, device)
            else:
                tmp.chmod(0o666 & ~_umask())
                if fcntl is None:
                    handle = _closed(handle)
                tmp.replace(target)
    finally:
        _closed(handle)
        tmp.unlink(missing_ok=True)


def write_text(text: str, path: Path | str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_write(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def sweep(folder: Path) -> None:
    """Delete the temporary files that killed writers left in `folder`, and none that is being written."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and path.is_file() and not path.is_symlink() and _is_left(path):
            with suppress(OSError):  # of another user, or open, on Windows
                path.unlink()


def _claim(handle: int) -> None:
    """Hold the operating system's lock on a temporary file, which ends with the process."""
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_left(path: Path) -> bool:
    """Say whether no living process claims a temporary file."""
    if fcntl is None:
        return True
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _closed(handle: int) -> int:
    """Close a file handle unless it is closed; return the mark of one that is."""
    if handle >= 0:
        os.close(handle)
    return -1


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Turn what the operating system says against writing a file into one line."""
    try:
        yield
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {target} ({error.strerror or error}); make room or give another path")


def _umask() -> int:
    """Return the process's umask, which can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

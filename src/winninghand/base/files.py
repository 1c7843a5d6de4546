"""Files that appear whole or not at all, and what a killed writer leaves of them."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

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
# What Linux calls them behind /dev/stdout.
_PIPE = ("pipe:[", "socket:[")
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""What the operating system says where a disk takes no more."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well the file is moved to `path` in one step.

    The file is written beside its target, flushed to disk and renamed, so that a reader or a kill
    at any moment finds the old file or the new one. When the block raises, nothing is left. The
    temporary file is called `.NAME.xxxxxxxx.tmp.SUFFIX`: it ends as its target does, because some
    writers choose a format by that. A symbolic link stays one, and what it points to is replaced, with
    the rights that it had. A device, a pipe and the process's own output are written to.

    Raises `InputError` where the disk is full and where the folder is missing rights or is a file.
    """
    target = _target(path)
    stream = _is_stream(target)
    with _told(target):
        folder = Path(tempfile.gettempdir()) if stream else target.parent
        folder.mkdir(parents=True, exist_ok=True)
        # A name of full length leaves no room for what is added to it.
        handle, name = tempfile.mkstemp(f".tmp{target.suffix[:20]}", f".{target.name[:40]}.", folder)
    tmp = Path(name)
    try:
        _claim(handle)
        try:
            yield tmp
        except OSError as error:
            if error.errno in DISK_ERRORS:
                raise _unwritable(target, error) from error
            raise
        with _told(target):
            with tmp.open("rb+") as file:
                os.fsync(file.fileno())
            if stream:
                with tmp.open("rb") as file, _opened(target) as device:
                    shutil.copyfileobj(file, device)
            else:
                tmp.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
                if fcntl is None:
                    handle = _closed(handle)
                tmp.replace(target)
    finally:
        _closed(handle)
        tmp.unlink(missing_ok=True)


def check_room(folder: Path, needed: int) -> None:
    """Raise `InputError` where the disk of a folder has no room for so many more bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{folder} has room for {free:,} bytes, and {needed:,} are needed; "
            "make room or give another folder"
        )


def checked_name(name: str) -> str:
    """Return a name that becomes part of a file's name, or raise `InputError` unless it is fit for that.

    It has up to 100 ASCII letters, digits, dots, hyphens and underscores, and begins with a letter or digit.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be a file's name; take up to 100 letters of a-z and A-Z, digits, '.', '-' and "
            "'_', and begin with a letter or a digit"
        )
    return name


def write_text(text: str, path: Path | str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_write(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def checked_output(path: Path | str, folder: bool = False) -> Path:
    """Return a path that a file, or a folder, can be written to, as far as that is known beforehand.

    Nothing is made or changed. Raises `InputError` for a file in the way of a folder and a folder in
    that of a file, for missing rights and for a full disk.
    """
    target = _target(path, folder)
    with _told(target):
        place = target
        while not place.exists():
            place = place.parent
        if not place.is_dir() and place != target:
            raise NotADirectoryError(errno.ENOTDIR, f"{place} is a file")
        needed = {place} if _is_stream(target) else {place, place if place.is_dir() else place.parent}
        for one in needed:
            if not os.access(one, os.W_OK | (os.X_OK if one.is_dir() else 0)):
                raise PermissionError(errno.EACCES, f"{one} may not be written to")
        if not _is_stream(target) and shutil.disk_usage(place).free == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return Path(path)


def check_apart(outputs: Iterable[Path | str | None], inputs: Iterable[Path | str] = ()) -> None:
    """Raise `InputError` where two files to be written are one, or one would replace a file that is read."""
    written: set[Path] = set()
    read = {Path(os.path.realpath(path)) for path in inputs}
    for path in outputs:
        if path is None:
            continue
        target = Path(os.path.realpath(path))
        if target in read:
            raise InputError(f"{path} is read here and would be replaced; give another path to write to")
        if target in written:
            raise InputError(f"{path} would be written twice; give each output a path of its own")
        if not _is_stream(target):
            written.add(target)


def sweep(folder: Path) -> None:
    """Delete the temporary files that killed writers left in `folder`, and none that is being written."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and path.is_file() and not path.is_symlink() and _is_left(path):
            with suppress(OSError):  # of another user, or open, on Windows
                path.unlink()


def _target(path: Path | str, folder: bool = False) -> Path:
    """Return what is to be written, behind all links, where there is nothing of another kind."""
    target = Path(os.path.realpath(path))
    with _told(target):
        try:
            is_folder = stat.S_ISDIR(target.stat().st_mode)
        except FileNotFoundError:
            if target.name.startswith(_PIPE):  # what the process's own output is called where it is a pipe
                return Path(path)
            return target
    if is_folder and not folder:
        raise InputError(f"{path} is a folder; give the path of a file")
    if folder and not is_folder:
        raise InputError(f"{path} is a file; give a folder")
    return target


def _is_stream(target: Path) -> bool:
    """Say whether to write to what is there: a device, a pipe, or a file that is this process's output."""
    return (
        target.exists() and not target.is_dir() and (not target.is_file() or _own_output(target) is not None)
    )


def _own_output(target: Path) -> int | None:
    """Return the handle of this process's output that is this file."""
    for handle in (1, 2):
        with suppress(OSError):  # it is closed
            if os.path.samestat(target.stat(), os.fstat(handle)):
                return handle
    return None


def _opened(target: Path) -> BinaryIO:
    """Open a stream, the process's own output where what was printed before ends."""
    handle = _own_output(target)
    return target.open("wb") if handle is None else os.fdopen(os.dup(handle), "wb")


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

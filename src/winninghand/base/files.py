"""Files that appear whole or not at all, what a killed writer leaves of them, and how damage shows.

Long, as all that the operating system may say against a path is told here and nowhere else.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from winninghand.base.errors import InputError, with_article

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

_DIGEST = "digest"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@contextmanager
def atomic_write(path: Path | str, keep_suffix: bool = True) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well the file is moved to `path` in one step.

    The file is written beside its target, flushed to disk and renamed, so that a reader or a kill
    at any moment finds the old file or the new one. When the block raises, nothing is left; what a
    killed writer of this file left is deleted. The temporary file is called `.NAME.xxxxxxxx.tmp.SUFFIX`:
    it ends as its target does, because some writers choose a format by that, unless `keep_suffix` is False.
    A symbolic link stays one, and what it points to is replaced, with the rights that it had. A device, a
    pipe and the process's own output are written to.

    Raises `InputError` where the disk is full and where the folder is missing rights or is a file.
    """
    target = _target(path)
    stream = _is_stream(target)
    with _told(target):
        folder = Path(tempfile.gettempdir()) if stream else target.parent
        folder.mkdir(parents=True, exist_ok=True)
        # A name of full length leaves no room for what is added to it.
        start = f".{target.name[:40]}."
        for left in folder.glob(f"{glob.escape(start)}*"):
            _delete_if_left(left)
        handle, name = _made(folder, start, f".tmp{target.suffix[:20] if keep_suffix else ''}")
    tmp = Path(name)
    try:
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
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_full(error: BaseException | None) -> bool:
    """Say whether an error is of a disk that takes no more, or was told because of one."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return True
        error = error.__cause__
    return False


def expanded(path: Path | str) -> Path:
    """Return a path whose `~` is the home folder, where there is one of that name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (which leaves the unknown as it is)


def real_path(path: Path | str) -> Path:
    """Return a path with its links followed; `InputError` where it cannot be one, as with a zero byte."""
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise InputError(f"{str(path)!r} cannot be a path ({error}); give another one") from error


def regular(path: Path) -> Path:
    """Return the path of what will be read; `InputError` for a pipe, which would be waited for, or a device.

    What is not there, and a folder, are left to the reader to tell.
    """
    with suppress(OSError):
        if stat.S_IFMT(path.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{path} is no file but a pipe or a device; give a file")
    return path


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


def write_sealed(table: Mapping[str, Any], path: Path) -> None:
    """Write a table of JSON values with its digest, whole or not at all; an equal file stays as it is."""
    text = json.dumps({**table, _DIGEST: _digest(table)}, indent=1) + "\n"
    if not (path.is_file() and path.read_bytes() == text.encode()):
        write_text(text, path)


def read_sealed(path: Path, mend: str = "") -> dict[str, Any]:
    """Return the table that a file holds, without its digest; one that has none, as of 0.1, is not checked.

    Raises `InputError` for what cannot be read, is no table or does not fit its digest; `mend` says what to
    do then, unless whoever calls does.
    """
    then = f"; {mend}" if mend else ""
    try:
        table = json.loads(regular(path).read_text(encoding="utf-8"))
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}){then}") from error
    if not isinstance(table, dict):
        raise InputError(f"{path} is damaged: it holds {with_article(type(table).__name__)}, no table{then}")
    digest = table.pop(_DIGEST, None)
    if digest not in (None, _digest(table)):
        raise InputError(f"{path} is damaged: its content does not fit its digest{then}")
    return table


def checked_output(path: Path | str, folder: bool = False) -> Path:
    """Return a path that a file, or a folder, can be written to, as far as that is known beforehand.

    Nothing is made or changed. Raises `InputError` for a file in the way of a folder and a folder in
    that of a file, for missing rights, for a full disk and for a place that is on none.
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
        room = None if _is_stream(target) else shutil.disk_usage(place)
        if room is not None and room.free == 0:
            if room.total == 0:  # as of /proc and /sys, which the system makes up
                kind = "folder" if folder else "file"
                raise InputError(f"cannot write {path} (no {kind} can be made in {place}); give another path")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return Path(path)


def check_apart(outputs: Iterable[Path | str | None], inputs: Iterable[Path | str] = ()) -> None:
    """Raise `InputError` where two files to be written are one, or one would replace a file that is read.

    Of a folder among the inputs anything may be read, so that no file below it is replaced, but for
    what commands write and no image set is made of: a command may be run again.
    """
    written: set[Path] = set()
    read = {real_path(path) for path in inputs}
    for path in outputs:
        if path is None:
            continue
        target = real_path(path)
        if target in read:
            raise InputError(f"{path} is read here and would be replaced; give another path to write to")
        if target.is_file() and not _is_report(target) and not read.isdisjoint(target.parents):
            raise InputError(
                f"{path} lies in a folder that is read here and would be replaced; give a path outside it"
            )
        if target in written:
            raise InputError(f"{path} would be written twice; give each output a path of its own")
        if not _is_stream(target):
            written.add(target)


def _is_report(path: Path) -> bool:
    """Tell whether a file is of a kind that is written for people and other programs, and never read."""
    described = path.name in ("archive.json", "classes.json", "run.json", "study.json")
    return path.suffix in (".json", ".csv", ".html", ".md", ".svg") and not described


def sweep(folder: Path) -> None:
    """Delete the temporary files that killed writers left in `folder`, and none that is being written."""
    for path in folder.iterdir():
        _delete_if_left(path)


def _digest(table: Mapping[str, Any]) -> str:
    content = json.dumps(table, sort_keys=True).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _target(path: Path | str, folder: bool = False) -> Path:
    """Return what is to be written, behind all links, where there is nothing of another kind."""
    if not folder and os.fspath(path).endswith(os.sep):
        raise InputError(f"{path} is the name of a folder; give the path of a file")
    target = real_path(path)
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


def _made(folder: Path, start: str, end: str) -> tuple[int, str]:
    """Make a temporary file; hold the operating system's lock on it, which ends with the process."""
    while True:
        handle, name = tempfile.mkstemp(end, start, folder)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)  # another process took it, before it was locked, for one that was left


def _delete_if_left(path: Path) -> None:
    """Delete a temporary file that no living process holds."""
    if not _TEMPORARY.fullmatch(path.name) or path.is_symlink() or not path.is_file():
        return
    with suppress(OSError):  # it is held, of another user, or open, on Windows
        if fcntl is None:
            path.unlink()
            return
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


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

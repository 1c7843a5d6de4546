"""A lock on a folder, so that two processes do not work in it at once."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.base.files import real_path, sweep

_LOG = logging.getLogger("winninghand")
_NAME = ".lock"
_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_UNTIL_TOLD = 1.0

# The folders that a thread holds, with how many blocks deep.
_held = threading.local()
# The open lock files of this process, by folder.
_handles: dict[str, int] = {}


@contextmanager
def folder_lock(folder: Path | str, wait: bool = True) -> Iterator[None]:
    """Keep other processes and threads out of `folder` while the block runs; make the folder if need be.

    Whoever comes second waits, and is told after a second who works there; without `wait`,
    `InputError` says so at once. The lock is the operating system's, on a file `.lock` in the folder
    that says who holds it: it ends with its holder, however that dies. What a holder forks does not hold
    it. Who gets it first deletes what killed writers left in the folder. A folder that was made for the
    block and is empty after it goes again.

    A thread may lock a folder again that it holds. Threads and processes that lock several folders
    must take the outer one first: a study's, then a run's.

    Raises `InputError` where the folder is a file or cannot be written to.
    """
    folder = Path(folder)
    key = str(real_path(folder))
    depths: dict[str, int] = vars(_held).setdefault("depths", {})
    if key in depths:
        depths[key] += 1
        try:
            yield
        finally:
            depths[key] -= 1
        return
    made, holder = _absent(folder), os.getpid()
    handle = _acquired(folder, wait)
    depths[key], _handles[key] = 1, handle
    try:
        sweep(folder)
        yield
    finally:
        if os.getpid() == holder:  # and not what it forked
            del depths[key], _handles[key]
            _release(folder / _NAME, handle)
            with suppress(OSError):  # something lies in it
                for one in made:
                    one.rmdir()


def check_held(folder: Path | str) -> None:
    """Raise `InputError` where a folder that this process locked, or its lock, was taken away meanwhile."""
    handle = _handles.get(str(real_path(folder)))
    if handle is not None and not _is_current(handle, Path(folder) / _NAME):
        raise InputError(
            f"{folder} was taken away, or the {_NAME} in it, while this process worked there; run it again"
        )


def _forget() -> None:
    """Let go, in a process that was forked, of what its parent holds; the parent goes on holding it."""
    for handle in _handles.values():
        with suppress(OSError):
            os.close(handle)
    _handles.clear()
    vars(_held).clear()


def _absent(folder: Path) -> list[Path]:
    """Return the folder and those above it, as far as they are not there, the innermost first."""
    try:
        return [one for one in (folder, *folder.parents) if not one.exists()]
    except (OSError, ValueError):  # such as a name that is too long: to open it says so
        return []


def tidy(folder: Path | str) -> None:
    """Delete what a killed holder left in a folder, its lock file included, unless somebody works there."""
    if (Path(folder) / _NAME).exists():
        with suppress(InputError), folder_lock(folder, wait=False):
            pass


def _acquired(folder: Path, wait: bool) -> int:
    """Return the handle of the folder's lock file, locked."""
    started, told = time.monotonic(), False
    while True:
        handle = _opened(folder)
        if _lock(handle, folder) and _is_current(handle, folder / _NAME):
            _sign(handle)
            return handle
        os.close(handle)
        if not wait:
            raise InputError(f"{_holder(folder)}; wait for it to end, or give another folder")
        if not told and time.monotonic() - started > _SECONDS_UNTIL_TOLD:
            _LOG.warning("waiting: %s", _holder(folder))
            told = True
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _opened(folder: Path) -> int:
    """Open the lock file; its content stays, since it may be another's."""
    with suppress(FileNotFoundError):  # whoever made the folder took it away in between
        return _made_and_opened(folder)
    return _made_and_opened(folder)


def _made_and_opened(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder} is, or lies below, a file; give a folder") from error
    except OSError as error:
        raise InputError(
            f"cannot write to {folder} ({error.strerror}); give another folder, or the right to write there"
        ) from error


def _is_current(handle: int, path: Path) -> bool:
    """Say whether an open lock file is still the one at its path: holders delete it when they leave."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _sign(handle: int) -> None:
    """Write into the lock file who holds it."""
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    with suppress(OSError):  # a full disk: the lock holds without
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(holder).encode())


def _holder(folder: Path) -> str:
    """Say who works in a folder, as far as that can be read."""
    try:
        found = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        return f"process {found['pid']} on {found['host']} works in {folder} since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"another process works in {folder}"


if sys.platform == "win32":
    import msvcrt

    # Windows keeps others from reading what is locked: a byte far behind the content is.
    _LOCKED_BYTE = 2**30

    def _lock(handle: int, folder: Path) -> bool:
        """Lock an open file; return False where another has it."""
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(path: Path, handle: int) -> None:
        """Give a lock back; the file cannot be deleted while others look at it, and may stay."""
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        os.close(handle)
        with suppress(OSError):
            path.unlink()

else:
    import fcntl

    os.register_at_fork(after_in_child=_forget)

    def _lock(handle: int, folder: Path) -> bool:
        """Lock an open file; return False where another has it."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            _LOG.warning(
                "the file system of %s has no locks (%s): let one process at a time work there",
                folder,
                error.strerror,
            )
        return True

    def _release(path: Path, handle: int) -> None:
        """Give a lock back; its file goes first, while no other can hold it."""
        with suppress(OSError):
            path.unlink()
        os.close(handle)

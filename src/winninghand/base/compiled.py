"""Functions compiled by Numba, which takes half a second to import: that waits for the first call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, update_wrapper
from pathlib import Path
from threading import RLock
from typing import Any, Generic, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_BUILDING = RLock()
_LOG = logging.getLogger(__name__)
_told: list[str] = []


class Compiled(Generic[Parameters, Result]):
    """A function that is compiled for the types it is called with; the result is kept on disk.

    It does not hold the interpreter's lock while it runs, and starts no threads of its own. It may
    call other compiled functions of its own file, and LLVM code that files of its own folder write:
    what is on disk counts as long as no file of that folder has changed. Numba keeps results beside
    the file, or, where that folder cannot be written, in the user's cache (`NUMBA_CACHE_DIR` names
    another place). Where neither can be written or the disk is full, every process compiles for
    itself, and says so once.
    """

    def __init__(self, function: Callable[Parameters, Result]) -> None:
        self._function = function
        self._fast: Callable[Parameters, Result] | None = None
        update_wrapper(self, function)

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Compile the function where that has not been done, and call it."""
        fast = self._fast or self._built()
        return fast(*args, **kwargs)

    def _built(self) -> Callable[Parameters, Result]:
        from numba import njit

        with _BUILDING:
            if self._fast is None:
                file = self._function.__globals__
                for name in self._function.__code__.co_names:
                    callee = file.get(name)
                    if isinstance(callee, Compiled):
                        # Numba looks callees up by name in their file, and calls only functions of its own.
                        file[name] = callee._built()
                fast = njit(nogil=True, error_model="numpy")(self._function)
                _keep_on_disk(fast, self._function)
                self._fast = fast
            return self._fast


def _keep_on_disk(dispatcher: Any, function: Callable[..., Any]) -> None:  # noqa: ANN401 (Numba has no types)
    """Let Numba look for results on disk before it compiles, and not fail where it cannot."""
    from numba.core.caching import FunctionCache

    folder = Path(function.__code__.co_filename).parent

    class Cache(FunctionCache):
        """Numba's own, whose failures end nothing: without a result from it, Numba compiles."""

        def load_overload(self, *args: Any) -> Any:  # noqa: ANN401
            try:
                return super().load_overload(*args)  # type: ignore[no-untyped-call]
            # A file that was cut off or that nobody may read: unpickling it raises nearly anything.
            except Exception:
                self._begin_anew()
                return None

        def _index_key(self, *args: Any) -> Any:  # noqa: ANN401
            """Return what a result is found by: Numba's key, and the state of the folder."""
            return (*super()._index_key(*args), _stamp(folder))  # type: ignore[no-untyped-call]

        def _begin_anew(self) -> None:
            try:
                self.flush()  # type: ignore[no-untyped-call]
            except Exception as error:
                _tell(error)

        def save_overload(self, *args: Any) -> None:  # noqa: ANN401
            try:
                super().save_overload(*args)  # type: ignore[no-untyped-call]
            except Exception as error:
                _tell(error)

    try:
        # What `enable_caching` does, with a cache that does not raise.
        dispatcher._cache = Cache(function)  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError) as error:  # Numba found no folder that can be written
        _tell(error)


@cache
def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, time and size of a folder's Python files; nothing for a folder in an archive."""
    found = [(path.name, path.stat()) for path in sorted(folder.glob("*.py"))]
    return tuple((name, state.st_mtime_ns, state.st_size) for name, state in found)


def _tell(error: Exception) -> None:
    """Say once, whatever the number of functions, that compiled code is not kept."""
    if not _told:
        _told.append(str(error))
        reason = str(error).partition("\n")[0] or type(error).__name__
        _LOG.warning(
            "compiled code is not kept, and made anew by each process, unless NUMBA_CACHE_DIR names a folder "
            "that can be written: %s",
            reason,
        )


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile a function, in Numba's "nopython" mode, when it is first called."""
    return Compiled(function)

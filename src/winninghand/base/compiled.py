"""Functions compiled by Numba, which takes half a second to import: that waits for the first call."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from threading import RLock
from typing import Generic, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_BUILDING = RLock()


class Compiled(Generic[Parameters, Result]):
    """A function that is compiled for the types it is called with; the result is kept on disk.

    It does not hold the interpreter's lock while it runs, and starts no threads of its own. It may
    call other compiled functions of its own file. Numba keeps results beside the file, or, where
    that folder cannot be written, in the user's cache (`NUMBA_CACHE_DIR` names another place).
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
                self._fast = njit(cache=True, nogil=True, error_model="numpy")(self._function)
            return self._fast


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile a function, in Numba's "nopython" mode, when it is first called."""
    return Compiled(function)

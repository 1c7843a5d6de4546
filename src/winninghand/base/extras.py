"""Libraries that only some tasks need: they are installed as extras and imported when they are used."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from winninghand.base.errors import InputError


def needed(module: str, extra: str, why: str) -> ModuleType:
    """Return the imported module, such as `needed("pyarrow.parquet", "parquet", "to read parquet files")`.

    `extra` is the extra of this library that installs it; `why` says in a few words what it is
    needed for. Raises `InputError` with the line that installs it where it cannot be imported.
    """
    try:
        return import_module(module)
    # A library that was built for another torch raises the latter two.
    except (ImportError, RuntimeError, OSError) as error:
        missing = module.partition(".")[0]
        # A library can be there and lack one of its own: then its message says which.
        detail = "" if getattr(error, "name", None) == missing else f" ({error})"
        raise InputError(
            f"{missing} is needed {why} and cannot be imported{detail}; pip install 'winninghand[{extra}]'"
        ) from error

"""RobustBench's classes of networks, without what else its package imports: attacks, downloads, data frames.

`make test-robustbench` installs what the classes themselves need.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from types import ModuleType


def model_zoos() -> dict[str, ModuleType]:
    """Return RobustBench's classes and tables of entries, by data set; `ImportError` where it is missing."""
    if "robustbench" not in sys.modules:
        sys.modules["robustbench"] = _bare_package()
    return {data: import_module(f"robustbench.model_zoo.{data}") for data in ("cifar10", "cifar100")}


def _bare_package() -> ModuleType:
    """Return the package `robustbench` without what its own `__init__` imports."""
    found = importlib.util.find_spec("robustbench")
    if found is None or found.submodule_search_locations is None:
        raise ImportError("RobustBench is not installed")
    package = ModuleType("robustbench")
    package.__path__ = list(found.submodule_search_locations)
    return package

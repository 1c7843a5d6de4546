"""What runs a card or a deck: the engine, ONNX Runtime, PyTorch; and how long each takes.

Each name is loaded when it is first used: who runs a model by PyTorch needs none of the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winninghand.engine.playing import Compiled
    from winninghand.runtimes.choosing import ENGINES, checked_engine, run_by, runtime_of
    from winninghand.runtimes.compiling import compile  # noqa: A004 (the public name)
    from winninghand.runtimes.speed import ROUNDS, Speed, Speeds, benchmark

_HOMES = {
    "ENGINES": "runtimes.choosing",
    "ROUNDS": "runtimes.speed",
    "Compiled": "engine.playing",
    "Speed": "runtimes.speed",
    "Speeds": "runtimes.speed",
    "benchmark": "runtimes.speed",
    "checked_engine": "runtimes.choosing",
    "compile": "runtimes.compiling",
    "run_by": "runtimes.choosing",
    "runtime_of": "runtimes.choosing",
}

__all__ = [
    "ENGINES",
    "ROUNDS",
    "Compiled",
    "Speed",
    "Speeds",
    "benchmark",
    "checked_engine",
    "compile",
    "run_by",
    "runtime_of",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(f"winninghand.{_HOMES[name]}"), name)
        return globals()[name]

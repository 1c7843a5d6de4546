"""What runs a card or a deck: the engine, ONNX Runtime, PyTorch; and how long each takes."""

from winninghand.engine.playing import Compiled
from winninghand.runtimes.compiling import compile  # noqa: A004 (the public name)

__all__ = ["Compiled", "compile"]

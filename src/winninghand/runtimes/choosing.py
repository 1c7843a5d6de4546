"""What `--engine` says: by what a model is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import nn

from winninghand.base.errors import InputError
from winninghand.base.registry import nearest
from winninghand.cards import Card
from winninghand.cards.player import adaptation_of
from winninghand.decks import Deck

if TYPE_CHECKING:
    from winninghand.engine.playing import Compiled, Runtime

Engine = Literal["auto", "torch", "sparse", "onnx"]

ENGINES: tuple[str, ...] = get_args(Engine)
"""`auto` is `torch`, whose answers are those of earlier versions bit by bit."""


def checked_engine(name: str, device: str | None = None, adapts: bool = False) -> str:
    """Return the name of an engine; `InputError` for an unknown one, and for what it cannot do.

    `device` is where the model is to run, `adapts` whether its batch norms adapt to each batch.
    """
    if name not in ENGINES:
        raise InputError(f"there is no engine {name!r}; {nearest(name, ENGINES)}")
    if name in ("sparse", "onnx"):
        if device is not None and torch.device(device).type != "cpu":
            raise InputError(f"the engine {name} runs on the CPU, not on {device}; leave --device out")
        if adapts:
            raise InputError(
                f"the engine {name} takes batch norms as they are; leave --adapt or --engine out"
            )
    return name


def run_by(engine: str, model: Card | Deck, threads: int | None = None) -> Card | Deck | Compiled:
    """Return a model as an engine runs it: itself for `auto` and `torch`, else compiled.

    What the engine `sparse` cannot run is run by the next best, as in `compile`; `onnx` is refused with an
    `InputError` where a package or a way is missing.
    """
    if checked_engine(engine) in ("auto", "torch"):
        return model
    # A model that PyTorch runs needs none of it.
    from winninghand.engine.playing import Compiled
    from winninghand.runtimes.compiling import by_onnx, sensible_threads
    from winninghand.runtimes.compiling import compile as compiled

    if engine == "sparse":
        return compiled(model, threads)
    if adaptation_of(model) is not None:
        raise InputError("ONNX Runtime takes batch norms as they are; run the model by torch")
    return Compiled(model, by_onnx(model.cards, sensible_threads(threads)), "onnxruntime")


def runtime_of(model: nn.Module) -> Runtime:
    """Return by what a model is run: PyTorch, for all that is not compiled."""
    found: Runtime = getattr(model, "runtime", "torch")
    return found

"""From a network to a program: what it does to two images is recorded, operation by operation.

The recorder sees ATen's operations on real tensors, in this thread only. `operations.py` says what each of
them becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from winninghand.base.device import device_of, evaluation_mode
from winninghand.cards import Card
from winninghand.cards.player import adaptation_of
from winninghand.engine.fusing import fused
from winninghand.engine.operations import OPERATIONS
from winninghand.engine.program import Program, interpret
from winninghand.engine.recording import IMAGES, Recording, UntraceableError
from winninghand.networks import as_logits, laid_out
from winninghand.networks.entering import copied

# How far a program may be from the network: this, or as much of the largest logit; and of small logits no
# more than a hundredth, lest any program fit a network that gives next to nothing.
TOLERANCE = 1e-4


def trace(card: Card, checked: bool = True) -> Program:
    """Return the program of a card: normalisation and network, for images of its input size.

    The program refers to the card's own weights. Raises `UntraceableError`, with the reason, for operations
    that no step stands for, for a network that decides by the values it sees, and where program and network
    do not give the same logits for other images: whoever leaves that unchecked, checks what runs the program.
    """
    if adaptation_of(card) is not None:
        raise UntraceableError("its batch norms adapt to each batch")
    network = card.network if card.device.type == "cpu" else copied(card.network).cpu()
    mean, std = card.normalisation.mean.cpu(), card.normalisation.std.cpu()
    scales = {name: scale.cpu() for name, scale in card.scales.items()}

    def logits(images: Tensor) -> Tensor:
        return as_logits(network(laid_out((images - mean) / std, network)))

    return _recorded(network, logits, (3, *card.input_size), scales, checked)


def trace_module(module: nn.Module, input_shape: Sequence[int], checked: bool = True) -> Program:
    """Return the program of a classifier that is no card, for inputs of this shape, without the batch.

    The shape has one to three dimensions, such as (784,) or (1, 28, 28). Raises `UntraceableError` as `trace`
    does.
    """
    network = module if device_of(module).type == "cpu" else copied(module).cpu()
    return _recorded(network, lambda inputs: as_logits(network(inputs)), input_shape, {}, checked)


def _recorded(
    network: nn.Module,
    logits: Callable[[Tensor], Tensor],
    input_shape: Sequence[int],
    scales: Mapping[str, Tensor],
    checked: bool,
) -> Program:
    if {one.dtype for one in network.parameters() if one.is_floating_point()} - {torch.float32}:
        raise UntraceableError("its weights are not float32")
    generator = torch.Generator().manual_seed(0)
    with (
        evaluation_mode(network),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast("cpu", enabled=False),
    ):
        images = torch.rand(IMAGES, *input_shape, generator=generator, dtype=torch.float32)
        recording = Recording(network, scales, images)
        try:
            with _Recorder(recording):
                outputs = logits(images)
            if not recording.knows(outputs):
                raise UntraceableError("its logits do not depend on the images")
            last = recording.channels_first(recording.of(outputs))
            program = fused(recording.steps, recording.shapes, last)
            if not program.steps:
                raise UntraceableError("its logits are the images themselves")
        except UntraceableError:
            raise
        except Exception as error:  # what an operation of an unforeseen form leads to
            reason = str(error).strip().partition("\n")[0]
            raise UntraceableError(
                f"the engine could not follow it ({type(error).__name__}: {reason})"
            ) from error
        if checked:
            others = torch.rand(IMAGES + 1, *input_shape, generator=generator, dtype=torch.float32)
            found = interpret(program, others.reshape(len(others), *program.input_shape))
            check_alike(found, logits(others))
    return program


def check_alike(found: Tensor, expected: Tensor) -> None:
    """Raise `UntraceableError` where logits are not those of the network itself."""
    if found.shape != expected.shape:
        raise UntraceableError("what it computes depends on the number of images")
    if not bool(expected.isfinite().all()):
        raise UntraceableError("its logits are NaN or infinite")
    if not bool(found.isfinite().all()):
        raise UntraceableError("its logits would be NaN or infinite, and PyTorch's are not")
    distance = float((found - expected).abs().max())
    largest = float(expected.abs().max())
    if not distance <= min(TOLERANCE * max(1.0, largest), 100 * TOLERANCE * largest + 1e-7):
        raise UntraceableError(f"its logits would be {distance:.2g} away from PyTorch's")


class _Recorder(TorchDispatchMode):
    """Makes steps of the operations that are done to the images while it is entered."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recording = recording
        self._stale: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell torch that it need not import its compiler, which takes seconds."""
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 (torch's)
        kwargs = kwargs or {}
        touched = [one for one in tree_leaves((args, kwargs)) if self._recording.knows(one)]
        name = function._schema.name.removeprefix("aten::")
        if not touched:
            if torch.Tag.nondeterministic_seeded in function.tags:
                raise UntraceableError(f"it draws random numbers ({name})")
            return function(*args, **kwargs)
        if any(id(one) in self._stale for one in touched):
            raise UntraceableError("it reads by one name what it changed in place by another")
        in_place = name.endswith("_") and not name.endswith("__")
        record = OPERATIONS.get(name.removesuffix("_") if in_place else name)
        if record is None or "out" in kwargs:
            raise UntraceableError(f"the engine does not know {_meant_by(name)}the operation {name}")
        result = function(*args, **kwargs)
        record(self._recording, _arguments(function, args, kwargs), result)
        if in_place:
            self._stale |= self._recording.sharing(args[0])
        return result


def _arguments(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return the arguments of an operation by name, with defaults, and the call as it was."""
    given: dict[str, Any] = {"function": function, "args": args, "kwargs": kwargs}
    for number, argument in enumerate(function._schema.arguments):
        default = argument.default_value if argument.has_default_value() else None
        given[argument.name] = args[number] if number < len(args) else kwargs.get(argument.name, default)
    return given


def _meant_by(operation: str) -> str:
    """Return what networks use an operation of PyTorch's for, where its name does not say so."""
    if "attention" in operation or "transformer" in operation:
        return "attention, "
    if operation in ("bmm", "baddbmm", "matmul"):
        return "products of values, as in attention, "
    return "softmax, " if operation == "_softmax" else ""

"""`compile`: a card or a deck for the engine, or for the next best that runs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base.device import evaluation_mode
from winninghand.base.errors import InputError, checked_whole, counted, with_article
from winninghand.base.extras import needed
from winninghand.cards import Card, check_batch, check_pixels
from winninghand.cards.player import adaptation_of
from winninghand.decks import Deck, load
from winninghand.engine.playing import Compiled, Precision, Runner
from winninghand.engine.program import Program, together
from winninghand.engine.recording import UntraceableError
from winninghand.engine.tracing import check_alike, trace
from winninghand.networks.entering import check_values, copied

_LOG = logging.getLogger(__name__)

Played: TypeAlias = tuple[Runner, tuple[int, ...]]
"""A runner, and the numbers of the cards that it runs."""

# Each has buffers of its own.
_MOST_THREADS = 1024


def compile(  # noqa: A001 (the public name)
    model: Card | Deck | Path | str, threads: int | None = None, calibration: Tensor | None = None
) -> Compiled:
    """Make a card or a deck ready to be run fast on this machine's CPU, by its non-zero weights alone.

    The model may also be given by its file, or as `zoo:NAME`. Its networks are traced once, and their
    weights packed; later changes of the model are not seen. Cards of one body are packed once, with the
    norms of each. Outputs are PyTorch's within 1e-4 of the largest of them. `threads` is how many threads
    compute, by default as many as PyTorch has now (`torch.get_num_threads()`); more than the machine has
    cores become as many as these, which one line says.

    With `calibration`, some dozens of float images (N, 3, H, W) in [0, 1] of the kind that it will see,
    convolutions multiply bytes: their weights are int8, those of an int8 or a binary card as they are, and
    activations have 256 levels up to the largest that these images cause. Sums are exact, and logits off by
    a hundredth or so. That takes a processor with the instruction (VNNI); binary weights take none. Where
    there is neither, one line says that the model computes in float32. `.precision` says which it is.

    A model that the engine cannot run, for the reason that is logged in one line and stands in `.reason`,
    is run by ONNX Runtime where the extra `export` is installed, else by PyTorch; `.runtime` says by which.

    Raises `InputError` for what is neither card nor deck, for weights that are NaN or infinite, for a deck
    whose gate cannot choose, for threads that are no whole number from 1 to 1024, and for images of another
    size or range.
    """
    if threads is not None:
        threads = checked_whole("threads", threads, 1, _MOST_THREADS)
    model = load(model) if isinstance(model, str | PathLike) else model
    if isinstance(model, Compiled):
        raise InputError(f"this {model.kind} is compiled already; compile the {model.kind} it was made of")
    if not isinstance(model, Card | Deck):
        raise InputError(
            f"a card or a deck is compiled, not {with_article(type(model).__name__)}; make a card of a "
            "module by Card.from_module"
        )
    if calibration is not None:
        check_batch(calibration, model.input_size)
        check_pixels(calibration)
        calibration = calibration.detach().float().cpu().contiguous()
    for card in model.cards:
        check_values(card.network.state_dict())
    if isinstance(model, Deck):
        model.choose(torch.full((1, 3, *model.input_size), 0.5, device=model.device))
        model.reset()
    count = sensible_threads(threads)
    try:
        runners, precision = _by_engine(model.cards, count, calibration)
        return Compiled(model, runners, "sparse", precision=precision)
    except UntraceableError as error:
        reason = str(error)
    except Exception as error:  # whatever Numba and LLVM raise where they cannot compile
        reason = f"the engine failed ({type(error).__name__}: {first_line(error)})"
    try:
        if adaptation_of(model) is not None:
            raise InputError("it takes norms as they are in the file")
        runners = by_onnx(model.cards, count)
    except InputError as error:
        _say(model, "PyTorch", f"{reason}; nor by ONNX Runtime: {error}")
        return Compiled(model, _alone([_Torch(card) for card in model.cards]), "torch", reason)
    _say(model, "ONNX Runtime", reason)
    return Compiled(model, runners, "onnxruntime", reason)


def sensible_threads(threads: int | None) -> int:
    """Return how many threads compute: as many as asked for, else PyTorch's number; no more than cores.

    More would wait for each other, each with buffers of its own.
    """
    wanted = threads or torch.get_num_threads()
    cores = os.cpu_count() or wanted
    if wanted > cores:
        _LOG.warning(
            "%s instead of %s: this machine has no more cores", counted(cores, "thread"), f"{wanted:,}"
        )
    return min(wanted, cores)


def _say(model: Card | Deck, runtime: str, reason: str) -> None:
    _LOG.warning("this %s is run by %s, not by the engine: %s", model.kind, runtime, reason)


def _by_engine(
    cards: Sequence[Card], threads: int, calibration: Tensor | None
) -> tuple[list[Played], Precision]:
    """Return runners of the engine, one for all cards of one body, and how they compute."""
    programs: list[tuple[Program, tuple[int, ...]]] = []
    for number, card in enumerate(cards):
        program = trace(card, checked=calibration is not None)
        for place, (other, numbers) in enumerate(programs):
            joined = together([other, program])
            if joined is not None:
                programs[place] = joined, (*numbers, number)
                break
        else:
            programs.append((program, (number,)))
    if calibration is not None:
        # Numba takes half a second to import, and only models that are run need it.
        from winninghand.engine.quantizing import byte_values, quantized
        from winninghand.engine.vectors import DOTS_OF_BYTES

        whole = [(quantized(program, calibration), numbers) for program, numbers in programs]
        if DOTS_OF_BYTES or any(byte_values(program) for program, _ in whole):
            in_bytes = [(_runner(program, threads), numbers) for program, numbers in whole]
            for runner, _ in in_bytes:
                runner.run(calibration[:1].numpy())  # what cannot be compiled shows here
            return in_bytes, "int8"
        _LOG.warning("this processor has no instruction for sums of bytes: float32 is used")
    runners = [(_runner(program, threads), numbers) for program, numbers in programs]
    for runner, numbers in runners:
        for place, number in enumerate(numbers):
            _check(runner, cards[number], place if len(numbers) > 1 else None)
    return runners, "float32"


def _check(runner: Runner, card: Card, number: int | None) -> None:
    """Raise `UntraceableError` unless a runner gives a card's logits for images that were not traced."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 3, *card.input_size, generator=generator, dtype=torch.float32)
    device = card.device.type
    with evaluation_mode(card), torch.no_grad(), torch.autocast(device, enabled=False):
        expected = card(images.to(card.device), checked=True).float().cpu()
    numbers = None if number is None else np.full(len(images), number, dtype=np.int64)
    check_alike(torch.from_numpy(runner.run(images.numpy(), numbers)), expected)


def _runner(program: Program, threads: int) -> Runner:
    from winninghand.engine.running import SparseRunner

    return SparseRunner(program, threads)


class _Torch:
    """Runs a card by PyTorch, with the weights that it had."""

    def __init__(self, card: Card) -> None:
        self._card = copied(card).cpu().float().eval()

    def run(
        self, images: npt.NDArray[np.float32], cards: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.float32]:
        with torch.no_grad():
            logits: Tensor = self._card(torch.from_numpy(images), checked=True)
        return cast("npt.NDArray[np.float32]", logits.numpy())


class _Onnx:
    """Runs a card by ONNX Runtime."""

    def __init__(self, session: Any, name: str) -> None:  # noqa: ANN401 (onnxruntime has no types)
        self._session, self._name = session, name

    def run(
        self, images: npt.NDArray[np.float32], cards: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.float32]:
        return cast("npt.NDArray[np.float32]", self._session.run(None, {self._name: images})[0])


def check_onnx() -> None:
    """Raise `InputError` where a package is missing by which ONNX Runtime runs models."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        needed(package, "export", "to run a model by ONNX Runtime")


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or else its type."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def by_onnx(cards: Sequence[Card], threads: int) -> list[Played]:
    """Return a runner of ONNX Runtime for each card; `InputError` where a package or a way is missing."""
    # Needed for some models only, and it imports what exporters need.
    from winninghand.exports.graphs import INPUT
    from winninghand.exports.onnx_file import onnx_of, session

    check_onnx()
    runners: list[Runner] = []
    for card in cards:
        try:
            runner = _Onnx(session(onnx_of(cast("Card", copied(card)).cpu().eval()), threads), INPUT)
            _check(runner, card, None)
        except InputError:
            raise
        except UntraceableError as error:
            raise InputError(f"it is not what the ONNX file computes: {error}") from error
        except Exception as error:  # whatever tracing, exporter and runtime raise
            raise InputError(f"its network cannot be written as ONNX: {first_line(error)}") from error
        runners.append(runner)
    return _alone(runners)


def _alone(runners: Sequence[Runner]) -> list[Played]:
    return [(runner, (number,)) for number, runner in enumerate(runners)]

"""How long a card or a deck takes, by all that can run it here: engine, PyTorch, ONNX Runtime."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, metadata
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from winninghand.base.device import bf16_pays
from winninghand.base.errors import InputError, checked_whole
from winninghand.base.machine import processor
from winninghand.base.threads import usable_cores
from winninghand.cards import Card
from winninghand.decks import Deck, load
from winninghand.networks.entering import copied
from winninghand.runtimes.compiling import check_onnx, compile, first_line  # noqa: A004 (the public name)
from winninghand.runtimes.load import OtherLoad

Run = Callable[[Tensor], object]

# A sample is so many seconds of calls; at more load from others than this share of the cores it counts not.
_SAMPLE, _LOAD = 0.25, 0.05
_FEWEST = 3
_CALIBRATION = 64

ROUNDS = 7
"""How many samples of each runtime are taken where nobody disturbs them; at most twice as many else."""


@dataclass(frozen=True)
class Speed:
    """How long one runtime takes for a batch: medians over samples that were taken in turn with the others.

    `spread` are the least and the largest sample in milliseconds. `quiet` tells whether other processes
    left the machine alone in at least three samples, of which alone the figures are then made; None where
    the operating system does not say.
    """

    runtime: str
    batch: int
    milliseconds: float
    images_per_second: float
    spread: tuple[float, float]
    samples: int
    quiet: bool | None


@dataclass(frozen=True)
class Speeds:
    """The rows of a measurement, what it ran on, and why runtimes are missing, by name."""

    rows: tuple[Speed, ...]
    machine: dict[str, str | int]
    missing: dict[str, str]

    @property
    def quiet(self) -> bool:
        """Whether no other process disturbed any row, as far as known."""
        return all(row.quiet is not False for row in self.rows)


def benchmark(
    model: Card | Deck | Path | str,
    batches: Sequence[int] = (1, 16, 64),
    threads: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Speeds:
    """Measure how long a model takes on the CPU, by every runtime that is here.

    `sparse` is the engine in float32, `sparse-int8` the engine in bytes, where the processor has the
    instruction. `torch` is PyTorch as `evaluate` runs it, in whichever of its two layouts is quicker;
    `torch-bf16` the same under autocast, where the processor has the instruction. `onnxruntime` and
    `onnxruntime-int8` are the files that `export` writes. All have `threads` threads, by default as many as
    PyTorch has. For each size of a batch they are run in turn, in `ROUNDS` rounds, of each of which
    `progress` is told.

    Raises `InputError` as `compile` does, and for a batch that is no whole number of at least 1.
    """
    sizes = tuple(checked_whole("a batch", size, 1, 4096) for size in batches)
    if not sizes:
        raise InputError("give at least one size of a batch")
    model = load(model) if isinstance(model, str | PathLike) else model
    count = torch.get_num_threads() if threads is None else checked_whole("threads", threads, 1, 1024)
    with _threads(count):
        runs, missing = ways_to_run(model, count)
        rows = [row for size in sizes for row in timed(runs, like_photographs(size, model), progress)]
    return Speeds(tuple(rows), machine(count), missing)


def machine(threads: int) -> dict[str, str | int]:
    """Return what a measurement ran on: processor, cores, threads, and versions of what is installed."""
    versions: dict[str, str | int] = {}
    for package in ("torch", "numba", "onnxruntime"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    cores = max(1, round(usable_cores()))
    return {"processor": processor(), "cores": cores, "threads": threads, **versions}


def like_photographs(count: int, model: Card | Deck) -> Tensor:
    """Return images (N, 3, H, W) in [0, 1] that have, as photographs do, less in the finer frequencies."""
    generator = torch.Generator().manual_seed(0)
    height, width = model.input_size
    images = torch.zeros(count, 3, height, width, dtype=torch.float32)
    for side in (2, 4, 8, 16, 32):
        grid = torch.rand(count, 3, side, side, generator=generator, dtype=torch.float32) - 0.5
        images += functional.interpolate(grid, (height, width), mode="bilinear") / side**0.5
    return (images + 0.5).clamp(0, 1)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def ways_to_run(model: Card | Deck, threads: int) -> tuple[dict[str, Run], dict[str, str]]:
    """Return what runs the model, by name, and why others do not."""
    runs: dict[str, Run] = {}
    missing: dict[str, str] = {}
    compiled = compile(model, threads)
    if compiled.runtime == "sparse":
        runs["sparse"] = compiled.answer
        in_bytes = compile(model, threads, like_photographs(_CALIBRATION, model))
        if in_bytes.precision == "int8":
            runs["sparse-int8"] = in_bytes.answer
        else:
            missing["sparse-int8"] = "the processor has no instruction for sums of bytes"
    else:
        missing["sparse"] = str(compiled.reason)
    model = _on_cpu(model)
    runs["torch"] = model.answer
    if bf16_pays(torch.device("cpu")):
        runs["torch-bf16"] = _in_bf16(model)
    else:
        missing["torch-bf16"] = "the processor has no instruction for it"
    makers: dict[str, Callable[[Card | Deck, int], Run]] = {
        "onnxruntime": by_onnx,
        "onnxruntime-int8": _by_int8,
    }
    for name, maker in makers.items():
        try:
            runs[name] = maker(model, threads)
        except InputError as error:
            missing[name] = str(error)
    return runs, missing


def _on_cpu(model: Card | Deck) -> Card | Deck:
    if model.device.type == "cpu":
        return model
    moved = copied(model).cpu()
    assert isinstance(moved, Card | Deck)
    return moved


def _in_bf16(model: Card | Deck) -> Run:
    def run(images: Tensor) -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return model.answer(images)

    return run


def by_onnx(model: Card | Deck, threads: int) -> Run:
    """Return what runs the ONNX file of a model; `InputError` where a package or a way is missing."""
    from winninghand.exports.onnx_file import onnx_of

    check_onnx()
    return _session(_written(lambda: onnx_of(model)), threads)


def _by_int8(model: Card | Deck, threads: int) -> Run:
    check_onnx()
    from winninghand.exports.quantized import write_quantized

    images = like_photographs(_CALIBRATION, model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _written(lambda: write_quantized(model, path, images))
        return _session(import_module("onnx").load(path), threads)


def _written(write: Callable[[], Any]) -> Any:  # noqa: ANN401 (what is written)
    try:
        return write()
    except InputError:
        raise
    except Exception as error:  # whatever tracing and exporter raise
        raise InputError(f"it cannot be written as ONNX: {first_line(error)}") from error


def _session(graph: Any, threads: int) -> Run:  # noqa: ANN401 (an onnx.ModelProto)
    from winninghand.exports.graphs import INPUT
    from winninghand.exports.onnx_file import session

    made = session(graph, threads)
    return lambda images: made.run(None, {INPUT: images.numpy()})


@torch.inference_mode()
def timed(
    runs: Mapping[str, Run], images: Tensor, progress: Callable[[int], None] = lambda _: None
) -> Iterator[Speed]:
    """Yield how long each of several ways to run takes for a batch; samples of all are taken in turn.

    One whose name begins with `torch` gets the images in whichever layout is quicker.
    """
    given = {name: _in_quicker_layout(name, run, images) for name, run in runs.items()}
    calls = {name: max(1, round(_SAMPLE / _seconds(run, given[name], 2))) for name, run in runs.items()}
    taken: dict[str, list[tuple[float, float | None]]] = {name: [] for name in runs}
    for number in range(2 * ROUNDS):
        for name, run in runs.items():
            quiet = sum(_is_quiet(load) for _, load in taken[name])
            if quiet >= ROUNDS or (number >= ROUNDS and not quiet):
                continue
            run(given[name])  # what another runtime left in the caches is not its own doing
            others = OtherLoad()
            seconds = _seconds(run, given[name], calls[name])
            taken[name].append((seconds, others.share()))
        if number < ROUNDS:
            progress(1)
    for name in runs:
        yield _speed(name, len(images), taken[name])


def _speed(name: str, batch: int, taken: Sequence[tuple[float, float | None]]) -> Speed:
    quiet = [seconds for seconds, load in taken if _is_quiet(load)]
    known = any(load is not None for _, load in taken)
    enough = len(quiet) >= _FEWEST
    counted = quiet if enough else [seconds for seconds, _ in taken]
    seconds = statistics.median(counted)
    spread = (1000 * min(counted), 1000 * max(counted))
    return Speed(
        name, batch, 1000 * seconds, batch / seconds, spread, len(counted), enough if known else None
    )


def _is_quiet(load: float | None) -> bool:
    return load is None or load <= _LOAD


def _seconds(run: Run, images: Tensor, calls: int) -> float:
    """Return the mean time of a call, in seconds."""
    started = time.perf_counter()
    for _ in range(calls):
        run(images)
    return (time.perf_counter() - started) / calls


def _in_quicker_layout(name: str, run: Run, images: Tensor) -> Tensor:
    """Return images as PyTorch takes them quicker, contiguous or channels-last; for others contiguous."""
    run(images)
    if not name.startswith("torch"):
        return images
    other = images.contiguous(memory_format=torch.channels_last)
    run(other)
    times = [min(_seconds(run, one, 1) for _ in range(5)) for one in (images, other)]
    return images if times[0] <= times[1] else other

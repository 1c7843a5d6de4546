"""How fast the engine runs a ResNet-18 of width 64, beside every other runtime, all in one run.

    python -m benchmarks.engine [--patterns global-95,uniform-95,…] [--batch 1,16,64] [--threads 2]
                                [--deepsparse PYTHON] [--processor-time] [--json PATH]

Weights are drawn (Kaiming's normal distribution) and pruned by magnitude: `global-S` under one threshold for
all convolutions but the first, `uniform-S` with the same share in each, `erk-S` with the shares of
Erdős–Rényi kernels, `block4-S` uniform in blocks of four input channels; S is the sparsity in percent.
`binary-S` is uniform, and `binary-global-S` under one threshold, with one magnitude for all weights of a
layer. So accuracy means nothing here, and speed what it would be of trained weights with these masks.

Dense runtimes are PyTorch in the quicker of its layouts, under bf16, and compiled with frozen weights, and
ONNX Runtime with float32 and int8. `--deepsparse` is the Python of an environment with `deepsparse<=1.8.0`,
whose licence and end of life make it a peer here and nowhere else; it runs in a process of its own. Samples
of all are taken in turn. What other processes disturbed does not count; where that leaves too few samples,
a figure has a star. On a machine that is never quiet, `--processor-time` counts the time that one thread was
given; what others do to the caches still counts, for all runtimes alike.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import winninghand as wh
from winninghand.runtimes.compiling import compile as compiled
from winninghand.runtimes.speed import ROUNDS, Run, Speed, like_photographs, machine, timed, ways_to_run

PATTERNS = (
    "global-90",
    "global-95",
    "global-98",
    "uniform-90",
    "uniform-95",
    "uniform-98",
    "erk-95",
    "block4-95",
    "binary-95",
    "binary-global-95",
)
MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)


def main() -> None:
    """Print a table for each size of a batch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patterns", default="global-95,uniform-95,block4-95", help=", ".join(PATTERNS))
    parser.add_argument("--batch", default="1,16,64")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--deepsparse", help="the Python of an environment with deepsparse")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--processor-time", action="store_true", help="count what one thread was given")
    given = parser.parse_args()
    if given.processor_time and (given.threads != 1 or given.deepsparse):
        parser.error("--processor-time sees one thread of this process: --threads 1, without --deepsparse")
    torch.set_num_threads(given.threads)
    patterns = given.patterns.split(",")
    cards = {pattern: pruned(pattern) for pattern in patterns}
    rows: list[Speed] = []
    for batch in map(int, given.batch.split(",")):
        with runs_of(cards, given.threads, batch, given.deepsparse) as runs:
            measure = timed_by_processor if given.processor_time else timed
            speeds = [*measure(runs, like_photographs(batch, cards[patterns[0]]))]
        rows += speeds
        Console(width=110).print(table(speeds, cards, batch, given.threads))
    print(", ".join(f"{key} {value}" for key, value in machine(given.threads).items()))
    if given.json:
        document = {"machine": machine(given.threads), "rows": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(document, indent=1) + "\n")


@torch.no_grad()
def pruned(pattern: str, width: int = 64) -> wh.Card:
    """Return a card with drawn weights, pruned as a pattern such as `global-95` says."""
    torch.manual_seed(0)
    network = wh.network("resnet18", width=width, classes=10).eval()
    kind, _, percent = pattern.removeprefix("binary-").rpartition("-")
    kind = kind or "uniform"
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    for module in convolutions:
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
    if kind != "dense":
        weights = [module.weight for module in convolutions[1:]]
        density = 1 - float(percent) / 100
        for weight, mask in zip(weights, masks(weights, kind, density), strict=True):
            # As large as before pruning, so that activations neither vanish nor grow.
            weight.mul_(mask / mask.mean().clamp(min=1e-3).sqrt())
            if pattern.startswith("binary"):
                weight.copy_(weight.sign() * (weight.norm() / weight.count_nonzero().sqrt()))
    return wh.Card.from_module(network, [str(number) for number in range(10)], (32, 32), MEAN, STD)


def masks(weights: list[Tensor], kind: str, density: float) -> list[Tensor]:
    """Return masks that keep a share of the weights, the largest of a layer, or of all of them."""
    if kind == "global":
        sizes = torch.cat([weight.abs().flatten() for weight in weights])
        threshold = sizes.kthvalue(round(len(sizes) * (1 - density))).values
        return [(weight.abs() > threshold).float() for weight in weights]
    shares = [density] * len(weights)
    if kind == "erk":
        raw = [sum(weight.shape) / math.prod(weight.shape) for weight in weights]
        counts = [weight.numel() for weight in weights]
        full: set[int] = set()
        while True:  # layers that would be more than dense are dense, and the others get the rest
            free = [index for index in range(len(raw)) if index not in full]
            left = density * sum(counts) - sum(counts[index] for index in full)
            scale = left / sum(raw[index] * counts[index] for index in free)
            more = {index for index in free if raw[index] * scale > 1}
            if not more:
                break
            full |= more
        shares = [1.0 if index in full else raw[index] * scale for index in range(len(raw))]
    found = []
    for weight, share in zip(weights, shares, strict=True):
        sizes = weight.abs()
        if kind == "block4":
            outputs, inputs, *kernel = weight.shape
            blocks = weight.reshape(outputs, inputs // 4, 4, *kernel).norm(dim=2, keepdim=True)
            sizes = blocks.expand(-1, -1, 4, -1, -1).reshape(weight.shape)
        kept = max(4, round(share * weight.numel()))
        threshold = sizes.flatten().kthvalue(weight.numel() - kept + 1).values
        found.append((sizes >= threshold).float())
    return found


@contextmanager
def runs_of(
    cards: dict[str, wh.Card], threads: int, batch: int, deepsparse: str | None
) -> Iterator[dict[str, Run]]:
    """Yield everything that is measured, by name; each pruned card with the engine, one of them dense."""
    dense = next(iter(cards.values()))
    runs, missing = ways_to_run(dense, threads)
    runs = {name: run for name, run in runs.items() if not name.startswith("sparse")}
    for name, reason in missing.items():
        print(f"{name}: {reason}", file=sys.stderr)
    if (frozen := frozen_run(dense, batch)) is not None:
        runs["torch-compiled"] = frozen
    images = like_photographs(64, dense)
    for pattern, card in cards.items():
        runs[f"sparse {pattern}"] = compiled(card, threads).answer
        fast = compiled(card, threads, images)
        if fast.precision == "int8":
            runs[f"sparse-int8 {pattern}"] = fast.answer
    peers = []
    with tempfile.TemporaryDirectory() as folder:
        if deepsparse:
            for pattern, card in cards.items():
                path = Path(folder) / f"{pattern}.onnx"
                write_old_onnx(card, path)
                peers.append(Peer(deepsparse, path, batch, threads))
                runs[f"deepsparse {pattern}"] = peers[-1]
        try:
            yield runs
        finally:
            for peer in peers:
                peer.end()


@torch.inference_mode()
def timed_by_processor(runs: dict[str, Run], images: Tensor) -> Iterator[Speed]:
    """Yield the processor time of each way to run a batch on this thread, all in turn."""
    last = images.contiguous(memory_format=torch.channels_last)
    given = {name: last if name.startswith("torch") else images for name in runs}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            for call in range(max(2, 64 // len(images))):
                start = time.thread_time()
                run(given[name])
                # In the first round things are built; a first call finds what others left in the caches.
                if number and call:
                    taken[name].append(time.thread_time() - start)
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        spread = (1000 * min(seconds), 1000 * max(seconds))
        yield Speed(name, len(images), 1000 * middle, len(images) / middle, spread, len(seconds), None)


def frozen_run(card: wh.Card, batch: int) -> Run | None:
    """Return PyTorch's compiled network with frozen weights; None where there is no compiler."""
    import torch._inductor.config as settings

    settings.freezing = True
    network = card.network.eval().to(memory_format=torch.channels_last)
    try:
        run = torch.compile(network)
        with torch.no_grad():
            run(torch.rand(batch, 3, *card.input_size))
    except Exception as error:  # whatever the compiler and its tools raise
        print(f"torch-compiled: {str(error).partition(chr(10))[0]}", file=sys.stderr)
        return None
    return run


def write_old_onnx(card: wh.Card, path: Path) -> None:
    """Write a card's network as ONNX of the version that DeepSparse reads."""
    import onnx

    axes = {"images": {0: "batch"}, "logits": {0: "batch"}}
    example = (torch.rand(2, 3, *card.input_size),)
    torch.onnx.export(
        card.network, example, str(path), input_names=["images"], output_names=["logits"], dynamic_axes=axes,
        opset_version=13, dynamo=False,
    )  # fmt: skip
    graph = onnx.load(str(path))
    graph.ir_version = 8
    onnx.save(graph, str(path))


class Peer:
    """A process of another Python that runs a file by DeepSparse whenever it is asked to."""

    CODE = """
import sys, numpy, deepsparse
engine = deepsparse.compile_model(sys.argv[1], batch_size=int(sys.argv[2]), num_cores=int(sys.argv[3]))
images = [numpy.random.default_rng(0).random((int(sys.argv[2]), 3, 32, 32)).astype("float32")]
engine.run(images)
print("ready", flush=True)
for line in sys.stdin:
    engine.run(images)
    print("done", flush=True)
"""

    def __init__(self, python: str, path: Path, batch: int, threads: int) -> None:
        command = [python, "-c", self.CODE, str(path), str(batch), str(threads)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"NM_DISABLE_ANALYTICS": "True", "PATH": ""},
        )
        self._wait("ready")

    def __call__(self, images: Tensor) -> None:
        """Have it run its own images, of as many."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._wait("done")

    def _wait(self, word: str) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == word:
                return
        raise SystemExit("deepsparse ended; run its Python by hand to see why")

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def table(speeds: list[Speed], cards: dict[str, wh.Card], batch: int, threads: int) -> Table:
    """Return the figures as a table, each beside the best dense float32 and the int8 of ONNX Runtime."""
    times = {speed.runtime: speed.milliseconds for speed in speeds}
    dense = min(times[name] for name in ("torch", "torch-compiled", "onnxruntime") if name in times)
    whole = times.get("onnxruntime-int8")
    made = Table(
        "runtime", "ms", "spread", "images/s", "× best dense float32", "× ONNX Runtime int8", "GMAC/s a core",
        title=f"ResNet-18, width 64, batch {batch}, {threads} threads",
    )  # fmt: skip
    for speed in speeds:
        star = "*" if speed.quiet is False else ""
        pattern = str(speed.runtime).partition(" ")[2]
        work = macs(cards[pattern]) if pattern else 555.4e6
        made.add_row(
            str(speed.runtime),
            f"{speed.milliseconds:.2f}{star}",
            f"{speed.spread[0]:.2f}–{speed.spread[1]:.2f}",
            f"{speed.images_per_second:.0f}",
            f"{dense / speed.milliseconds:.2f}",
            f"{whole / speed.milliseconds:.2f}" if whole else "",
            f"{work * batch / speed.milliseconds / 1e6 / threads:.1f}",
        )
    return made


def macs(card: wh.Card) -> int:
    """Return the multiplications of weights that are not zero, for one image."""
    from winninghand.engine.tracing import trace

    return trace(card, checked=False).macs()


if __name__ == "__main__":
    main()

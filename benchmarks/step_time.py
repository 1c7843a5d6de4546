"""Time of a training step under each method over the bare dense step, same network and batch."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional

import winninghand as wh
from winninghand.base.device import make_fabric
from winninghand.compression import Compressor, Masks, Method, Phase
from winninghand.compression.methods import GradualMagnitudePruning

ROWS = [
    ("bare", "", 0.0),
    *[(method, "global", 0.9) for method in ("ft", "gmp", "lth", "lrr")],
    *[(method, scope, 0.9) for method in ("ep", "bp") for scope in ("global", "layerwise")],
]


def main() -> None:
    """Print the table; the steps of all methods take turns, so that a slow moment meets all alike.

    Processor time is that of all threads; on a busy machine it says more than the wall clock.
    """
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--width", type=int, default=64)
    options.add_argument("--batch", type=int, default=128)
    options.add_argument("--steps", type=int, default=12, help="timed, of each method")
    options.add_argument("--precision", default="auto")
    chosen = options.parse_args()
    steppers = [_stepper(*row, chosen) for row in ROWS]
    times: list[list[tuple[float, float]]] = [[] for _ in steppers]
    for _ in range(chosen.steps + 1):
        for step, taken in zip(steppers, times, strict=True):
            wall, processor = time.perf_counter(), time.process_time()
            step()
            taken.append((time.perf_counter() - wall, time.process_time() - processor))
    title = (
        f"resnet18 of width {chosen.width}, batch {chosen.batch}, precision {chosen.precision}, "
        f"medians of {chosen.steps} steps; {platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}"
    )
    table = Table("method", "scope", "ms", "over bare", "processor ms", "over bare", title=title)
    for (method, scope, _), taken in zip(ROWS, times, strict=True):
        figures = []
        for clock, bare in zip(zip(*taken[1:], strict=True), zip(*times[0][1:], strict=True), strict=True):
            ratio = median(one / other for one, other in zip(clock, bare, strict=True))
            figures += [f"{1000 * median(clock):.1f}", f"{ratio:.3f}"]
        table.add_row(method, scope, *figures)
    Console(width=120).print(table)
    # A median does not see what happens at one step in ten.
    seconds, beat = _refresh(chosen)
    share = seconds / beat / median(processor for _, processor in times[0][1:])
    print(
        f"gmp prunes every {beat} steps: {1000 * seconds:.1f} processor ms, {share:.1%} of a step on average"
    )


def _refresh(chosen: argparse.Namespace) -> tuple[float, int]:
    """Return the processor time of one of gmp's prunings, and in how many steps there is one."""
    network = wh.network("resnet18", width=chosen.width)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    masks = _masks(network, "gmp", "global", 0.9)
    taken = []
    for _ in range(6):
        started = time.process_time()
        masks.prune_to(masks.sparsity)
        taken.append(time.process_time() - started)
    return median(taken[1:]), GradualMagnitudePruning().update_every


def _stepper(method: str, scope: str, sparsity: float, chosen: argparse.Namespace) -> Callable[[], None]:
    """Return a function that takes one optimizer step of a freshly made network."""
    torch.manual_seed(0)
    fabric = make_fabric(chosen.precision)
    network = wh.network("resnet18", width=chosen.width).to(fabric.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    masks = None if method == "bare" else _masks(network, method, scope, sparsity)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    model, optimizer = fabric.setup(network, optimizer)
    images = torch.randn(chosen.batch, 3, 32, 32, device=fabric.device)
    labels = torch.randint(10, (chosen.batch,), device=fabric.device)

    def step() -> None:
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad(set_to_none=True)
        fabric.backward(loss)
        optimizer.step()
        if masks is not None:
            masks.after_step()
        loss.item()

    return step


def _masks(network: nn.Module, method: str, scope: str, sparsity: float) -> Masks:
    """Return masks at work: in the middle of gmp's ramp, in the last phase of all others."""
    settings = Method.model_validate({"method": method, "sparsity": sparsity, "scope": scope or "global"})
    compressor = Compressor(network, settings)
    phase: Phase = compressor.phases(epochs=30)[-1]
    masks = compressor.masks(seed=0)
    masks.begin(phase, steps=10_000, step=5_000)
    return masks


if __name__ == "__main__":
    main()

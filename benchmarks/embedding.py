"""Seconds and memory to find a fully connected network, 784-500-10, in a random one.

The shape of a public figure: 397,000 weights, 21 samples each, every weight within 0.01, by a commercial
solver in 77,266 s.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time

import torch
from rich.console import Console
from torch import nn

from winninghand.base.threads import usable_cores
from winninghand.theory import embed


def target() -> nn.Module:
    """Return a freshly drawn network of the shape."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 10))


def main() -> None:
    """Embed it, and print what it took; `--epsilon` bounds the outputs, `--samples` sets the width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--samples", type=int, default=21)
    asked = parser.parse_args()
    start, before = time.perf_counter(), time.process_time()
    ticket = embed(target(), asked.epsilon, samples=asked.samples or None, input_shape=(784,))
    wall, spent = time.perf_counter() - start, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console = Console()
    console.print(f"{platform.machine()}, {usable_cores():g} cores, torch {torch.__version__}")
    console.print(f"{ticket}")
    for layer in ticket.certificate.layers:
        console.print(
            f"{layer.name}: {layer.targets:,} weights of {layer.samples} samples, within "
            f"{layer.largest_error:.1e}, on average {layer.mean_error:.1e}"
        )
    console.print(f"{wall:.0f} s, {spent:.0f} s of processors, at most {peak:.2f} GiB of memory")


if __name__ == "__main__":
    main()

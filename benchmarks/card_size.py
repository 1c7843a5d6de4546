"""Size and loading time of card files against their entropy bound and against other ways to store."""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks import sparse_formats
from winninghand.cards.codec import decode_tensors, encode_tensors, entropy_bound
from winninghand.cards.container import read_streams, write_streams
from winninghand.compression import Budget, Scope, prunable_weights
from winninghand.networks import network

SPARSITIES = (0.90, 0.95, 0.98)
VALUE_BITS = {"fp32": 32, "fp16": 16, "int8": 8, "int4": 4, "binary": 1}
CASES: tuple[tuple[str, int, Scope, Sequence[float], Sequence[str]], ...] = (
    ("resnet18", 64, "global", SPARSITIES, tuple(VALUE_BITS)),
    ("resnet18", 128, "global", SPARSITIES, tuple(VALUE_BITS)),
    ("card_binary", 64, "global", (0.95,), ("binary",)),
    ("card_binary", 64, "layerwise", (0.95,), ("binary",)),
)
LOADS = 5


@dataclass(frozen=True)
class SizeReport:
    """Bytes of a file, of its coded and raw streams, and of their entropy bound."""

    total: int
    payload: int
    bound: float


@dataclass(frozen=True)
class Pruned:
    """One pruned network: the tensors of a card, and the weights as other formats hold them."""

    weights: dict[str, Tensor]
    others: dict[str, Tensor]
    scales: dict[str, Tensor]
    stored: dict[str, Tensor]

    def write(self, path: Path) -> SizeReport:
        """Write the card's tensors and header."""
        tensors = {**self.weights, **self.others}
        streams = encode_tensors(tensors, self.scales)
        write_streams(path, {}, streams)
        payload = streams["coded"].numel() + streams["raw"].numel()
        return SizeReport(path.stat().st_size, payload, entropy_bound(tensors, self.weights, self.scales))

    @property
    def others_stored(self) -> dict[str, Tensor]:
        """What other formats hold besides the weights: scales, biases, norms."""
        return {**self.others, **{f"{name}.scale": scale for name, scale in self.scales.items()}}


def main() -> None:
    """Print sizes for ResNet-18 by width, sparsity and value type, and the times to load them."""
    warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    table = Table(
        title="Bytes of pruned networks; others = not prunable, payload = all but header, bound = entropy"
    )
    for column in (
        "network",
        "scope",
        "sparsity",
        "values",
        "others",
        "bound",
        "payload",
        "ratio",
        "header",
        "load s",
    ):
        table.add_column(column, justify="right")
    for column in ("torch.save", "gzip", "zstd", "SciPy CSR", "torch CSR", "packed mask"):
        table.add_column(column, justify="right")
    for name, width, scope, sparsities, values in CASES:
        for sparsity in sparsities:
            weights, others = pruned(name, width, sparsity, scope)
            for value in values:
                label = (f"{name}-{width}", scope, f"{sparsity:.0%}", value)
                table.add_row(*label, *_row(weights, others, value))
    console = Console(width=220)
    console.print(table)
    console.print(
        f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}, torch "
        f"{torch.__version__}, 1 thread; load: median of {LOADS}; "
        "freshly initialised weights pruned by magnitude"
    )


def pruned(
    name: str, width: int, sparsity: float, scope: Scope
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return prunable weights, pruned by magnitude, and all other tensors, drawn at random."""
    module = network(name, width=width)
    weights = {name: weight.detach() for name, weight in prunable_weights(module).items()}
    masks = Budget(scope).choose(weights, sparsity)
    others = {name: tensor for name, tensor in module.state_dict().items() if name not in weights}
    for tensor in others.values():
        if tensor.is_floating_point():
            tensor.normal_(1, 0.3)
    return {name: weight * masks[name] + 0.0 for name, weight in weights.items()}, others


def quantized(weight: Tensor, highest: int) -> tuple[Tensor, Tensor]:
    """Return levels −highest .. highest, int8, and a float32 scale per output channel."""
    scales = weight.abs().flatten(1).amax(1).clamp_min(1e-12) / highest
    return torch.round(weight / _along(scales, weight)).to(torch.int8), scales


def _as(value: str, weights: dict[str, Tensor], others: dict[str, Tensor]) -> Pruned:
    """Return the network with its weights as `value`."""
    if value == "fp32":
        return Pruned(weights, others, {}, weights)
    if value == "fp16":
        halves = {name: weight.half() for name, weight in weights.items()}
        return Pruned(halves, others, {}, halves)
    if value == "binary":
        signs = {name: weight.sign().to(torch.int8) for name, weight in weights.items()}
        levels = {name: sign.float() * weights[name].abs().max() for name, sign in signs.items()}
        return Pruned({name: level + 0.0 for name, level in levels.items()}, others, {}, signs)
    highest = 127 if value == "int8" else 7
    pairs = {name: quantized(weight, highest) for name, weight in weights.items()}
    levels = {name: pair[0] for name, pair in pairs.items()}
    scales = {name: pair[1] for name, pair in pairs.items()}
    floats = {name: level.float() * _along(scales[name], level) + 0.0 for name, level in levels.items()}
    return Pruned(floats, others, scales, levels)


def _along(scales: Tensor, weight: Tensor) -> Tensor:
    """Return one scale per output channel in the weight's number of dimensions."""
    return scales.reshape(-1, *[1] * (weight.ndim - 1))


def _row(weights: dict[str, Tensor], others: dict[str, Tensor], value: str) -> list[str]:
    """Return one row of figures."""
    content = _as(value, weights, others)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.card"
        report = content.write(path)
        seconds = _median_seconds(lambda: decode_tensors(read_streams(path)[1]))
    dense = sparse_formats.saved({**content.stored, **content.others_stored})
    sizes = (
        len(dense),
        sparse_formats.gzipped(dense),
        sparse_formats.zstandard_compressed(dense),
        sparse_formats.scipy_csr(content.stored, content.others_stored),
        sparse_formats.torch_sparse(content.stored, content.others_stored),
        sparse_formats.packed_mask(content.stored, content.others_stored, VALUE_BITS[value]),
    )
    return [
        f"{sum(tensor.nbytes for tensor in others.values()):,}",
        f"{report.bound:,.0f}",
        f"{report.payload:,}",
        f"{report.payload / report.bound:.4f}",
        f"{report.total - report.payload:,}",
        f"{seconds:.3f}",
        *(f"{size / report.total:.2f}×" for size in sizes),
    ]


def _median_seconds(load: Callable[[], object]) -> float:
    """Return the median time of some calls, in seconds."""
    times = []
    for _ in range(LOADS):
        start = time.perf_counter()
        load()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()

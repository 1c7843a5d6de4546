"""How long each model of the zoo takes per image: by the engine, PyTorch and ONNX Runtime, all in one run.

    python -m benchmarks.zoo_times [--root DATA] [--write]

Batches are the first 64 test images of CIFAR-10, on one thread. Samples of all models and runtimes are taken
in turn, and those that other processes disturbed do not count. `--write` puts the times into the zoo's JSON
files; `winninghand zoo --write README.md` then writes the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import winninghand as wh
from winninghand.base.device import to_unit
from winninghand.base.files import atomic_write
from winninghand.results import zoo_records
from winninghand.runtimes.compiling import compile as compiled
from winninghand.runtimes.speed import Run, Speed, by_onnx, machine, timed
from winninghand.zoo import MODELS

RUNTIMES = ("sparse", "torch", "onnxruntime")
BATCH = 64


def main() -> None:
    """Print the table, and write the times where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, help="where CIFAR-10 lies")
    parser.add_argument("--write", action="store_true", help="put the times into the zoo's JSON files")
    given = parser.parse_args()
    torch.set_num_threads(1)
    images = to_unit(torch.from_numpy(wh.load_images("cifar10", root=given.root).test.images[:BATCH]))
    records = zoo_records()
    runs: dict[str, Run] = {}
    for record in records:
        model = wh.load(f"zoo:{record.name}")
        runs[f"sparse {record.name}"] = compiled(model, threads=1).answer
        runs[f"torch {record.name}"] = model.answer
        runs[f"onnxruntime {record.name}"] = by_onnx(model, 1)
    rows = {row.runtime: row for row in timed(runs, images.contiguous())}
    console, about = Console(width=120), machine(1)
    table = Table("model", *RUNTIMES, title=", ".join(f"{key} {value}" for key, value in about.items()))
    for record in records:
        times = {name: rows[f"{name} {record.name}"] for name in RUNTIMES}
        table.add_row(record.name, *(_shown(row) for row in times.values()))
        if given.write:
            _write(record.name, {name: row.milliseconds / BATCH for name, row in times.items()})
    console.print(table)
    console.print("ms per image, least to largest; * other processes disturbed it")


def _shown(row: Speed) -> str:
    low, high = (one / BATCH for one in row.spread)
    return f"{row.milliseconds / BATCH:.3f} ({low:.3f} to {high:.3f}){'' if row.quiet is not False else ' *'}"


def _write(name: str, times: dict[str, float]) -> None:
    """Put times into the JSON file of a model."""
    (record,) = (one for one in zoo_records() if one.name == name)
    torch_takes = times.pop("torch")
    found = record.model_copy(update={"milliseconds": torch_takes, "times": times})
    with atomic_write(MODELS / f"{name}.json") as tmp:
        tmp.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

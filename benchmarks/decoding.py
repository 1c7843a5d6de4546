"""Decoding a folder of JPEG files, beside torchvision's ImageFolder with its transforms in a DataLoader.

    python -m benchmarks.decoding [--stream [--layout LAYOUT]] [--count 10240] [--cores 1,2] [--repeats 3]

Needs torchvision, and so the environment of `make test-networks`. Both bring 500×375 JPEG files to 64×64
(shorter side, middle cut out) as bytes, in turn, on the same processor cores: here by the threads of
`wh.load_images` with its cache empty, which is written too, there by as many workers as there are cores. With
`--stream` it is an epoch of a training at 224×224 in a random order: random-resized crops in batches of 256,
here by `training.workers` threads, there by torchvision's `RandomResizedCrop`. With `--layout parquet` or
`tar` the same images lie in four shards here; torchvision's loader reads files. A file is read once before
anything is timed, so that it lies in memory.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import PIL
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.shards import write_shards

SIZE, STREAMED_SIZE, BATCH = 64, 224, 256
SHAPE = (375, 500)
OURS = "winninghand"


def main() -> None:
    """Print images per second and core, and processor time per image, medians over the repeats."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--stream", action="store_true")
    options.add_argument("--layout", choices=("folders", "parquet", "tar"), default="folders")
    options.add_argument("--count", type=int, default=10_240)
    options.add_argument("--cores", default=f"1,{len(os.sched_getaffinity(0))}")
    options.add_argument("--repeats", type=int, default=3)
    chosen = options.parse_args()
    available = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write(folder / "photos" / "train", chosen.count)
        write(folder / "photos" / "test", 2)
        os.environ["WINNINGHAND_CACHE"] = str(folder / "cache")
        place = folder / "photos"
        if chosen.layout != "folders":
            place = write_shards(place, folder / "shards", chosen.layout, shards=4) / "data"
        import torchvision

        rows = []
        for cores in sorted({int(part) for part in chosen.cores.split(",")}):
            os.sched_setaffinity(0, available[:cores])
            torch.set_num_threads(cores)
            mine = partial(streamed, place, cores) if chosen.stream else partial(ours, folder, place)
            ways: dict[str, Callable[[], None]] = {
                OURS: mine,
                "ImageFolder in a DataLoader": partial(theirs, folder, cores, chosen.stream),
            }
            spent: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for _ in range(chosen.repeats):
                for way, work in ways.items():
                    spent[way].append(timed(work))
            for way, taken in spent.items():
                wall, processor = (median(one) for one in zip(*taken, strict=True))
                rows.append((way, cores, chosen.count / wall / cores, 1000 * processor / chosen.count))
    side = STREAMED_SIZE if chosen.stream else SIZE
    table = Table(
        "way", "cores", "images/s and core", "processor ms an image", "over ImageFolder",
        title=f"{chosen.count:,} JPEG files of {SHAPE[1]}×{SHAPE[0]} and {size / 1000:.0f} kB to "
        f"{side}×{side}, {chosen.repeats} times in turn; {platform.machine()}, torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}; layout here: {chosen.layout}",
    )  # fmt: skip
    references = {cores: speed for way, cores, speed, _ in rows if way != OURS}
    for way, cores, speed, cost in rows:
        table.add_row(way, str(cores), f"{speed:,.0f}", f"{cost:.2f}", f"{speed / references[cores]:.2f}")
    Console(width=130).print(table)


def write(folder: Path, count: int) -> float:
    """Write JPEG files as a camera's look, of two classes, and return their mean size in bytes.

    Details of all sizes, the finer the fainter, as in photographs; a few hundred files differ, the others
    are copies.
    """
    generator = np.random.default_rng(0)
    made: list[Path] = []
    for number in range(count):
        path = folder / ("a", "b")[number % 2] / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(made) < 200:
            picture = np.zeros((*SHAPE, 3))
            for side in (2, 4, 8, 16, 32, 64, 128, 256):
                noise = generator.normal(size=(side, side, 3)).astype(np.float32)
                layers = [
                    Image.fromarray(noise[..., channel]).resize(SHAPE[::-1], Image.Resampling.BICUBIC)
                    for channel in range(3)
                ]
                picture += np.stack([np.asarray(layer) for layer in layers], axis=-1) * 45 / side**0.3
            Image.fromarray((picture + 127).clip(0, 255).astype(np.uint8)).save(path, quality=90)
            made.append(path)
        else:
            shutil.copyfile(made[number % len(made)], path)
    return float(np.mean([path.stat().st_size for path in made]))


def ours(folder: Path, place: Path) -> None:
    """Load the images with the cache empty."""
    import winninghand as wh

    shutil.rmtree(folder / "cache", ignore_errors=True)
    images = wh.load_images(place, size=SIZE)
    assert images.train.size == (SIZE, SIZE)


def streamed(place: Path, cores: int) -> None:
    """Go through an epoch of the streamed images."""
    import winninghand as wh
    from winninghand.training.batches import batches_of

    images = wh.load_images(place, size=STREAMED_SIZE, stream=True)
    batches = batches_of(images.train, BATCH, torch.device("cpu"), cores)
    count = sum(len(labels) for _, labels in batches.epoch(0))
    assert count == len(images.train) // BATCH * BATCH


def theirs(folder: Path, cores: int, stream: bool) -> None:
    """Go once through the folder as torchvision's users do."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    steps = [transforms.Resize(SIZE), transforms.CenterCrop(SIZE)]
    if stream:
        steps = [transforms.RandomResizedCrop(STREAMED_SIZE)]
    images = datasets.ImageFolder(
        folder / "photos" / "train", transforms.Compose([*steps, transforms.PILToTensor()])
    )
    loader = DataLoader(images, BATCH, shuffle=stream, num_workers=cores, drop_last=stream)
    count = sum(len(labels) for _, labels in loader)
    assert count == (len(images) // BATCH * BATCH if stream else len(images))


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds and the processor seconds, of this process and its workers, that work takes."""
    before, begin = spent(), time.perf_counter()
    work()
    return time.perf_counter() - begin, spent() - before


def spent() -> float:
    """Return the processor seconds of this process and of its workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()

"""Images per second of every corruption, one thread, against `imagecorruptions` and the reference script.

At 32 pixels by CIFAR-10-C's parameters, with `--size 224` by ImageNet-C's, which are the peer's, too.
`imagecorruptions` (1.1.2) runs on the same images in the same run where it can be imported, in turns
with this library; it needs setuptools < 81, scikit-image and OpenCV, and arguments that these have
dropped are translated. Where it is not installed, a figure recorded once stands in, marked with an
asterisk; the reference script's figures are all recorded. Recordings: one thread of an EPYC (Zen 4). Of
C-bar nothing else is installed that could be measured beside it.
Times are the process's CPU seconds, which on one thread are wall seconds of an idle machine.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table

from winninghand.corruptions import SEVERITIES, corrupt, corruption_names, missing_corruptions
from winninghand.networks import network

UInt8Array = npt.NDArray[np.uint8]
PeerCorrupt = Callable[[UInt8Array, str, int], object]
Recorded = dict[str, tuple[float, float]]

# Images per second: the reference script, and imagecorruptions with the libraries of its time.
RECORDED_AT_32: Recorded = {
    "gaussian_noise": (12304, 10908),
    "shot_noise": (5469, 4797),
    "impulse_noise": (12192, 7556),
    "defocus_blur": (6442, 5251),
    "glass_blur": (125, 89),
    "motion_blur": (943, 1289),
    "zoom_blur": (453, 529),
    "snow": (765, 1385),
    "frost": (200, 164),
    "fog": (3110, 2483),
    "brightness": (2769, 2584),
    "contrast": (18631, 13364),
    "elastic_transform": (2528, 2283),
    "pixelate": (34998, 31860),
    "jpeg_compression": (9925, 11846),
}
RECORDED_AT_224: Recorded = {
    "gaussian_noise": (344, 343),
    "shot_noise": (138, 139),
    "impulse_noise": (632, 645),
    "defocus_blur": (520, 535),
    "glass_blur": (1.6, 1.6),
    "motion_blur": (15, 222),
    "zoom_blur": (15, 15),
    "snow": (28.5, 141),
    "frost": (190, 158),
    "fog": (577, 564),
    "brightness": (57, 56),
    "contrast": (591, 609),
    "elastic_transform": (33, 85),
    "pixelate": (1986, 2825),
    "jpeg_compression": (2474, 2563),
    "speckle_noise": (284, 319),
    "gaussian_blur": (408, 404),
    "spatter": (249, 234),
    "saturate": (54, 52),
}
RECORDED: dict[int, Recorded] = {32: RECORDED_AT_32, 224: RECORDED_AT_224}


def main() -> None:
    """Print the table, the peak memory and the share of an evaluation."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=32, choices=sorted(RECORDED))
    options.add_argument("--images", type=int, help="512 at 32 pixels, 16 at 224")
    options.add_argument("--peer-images", type=int, help="16 at 32 pixels, 4 at 224")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--corruptions", default="all,bar,imagenet_bar")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    console = Console(width=130)
    size, recorded = chosen.size, RECORDED[chosen.size]
    count = chosen.images or (512 if size == 32 else 16)
    few = chosen.peer_images or (16 if size == 32 else 4)
    images = _smooth_images(count, size)
    peer = _peer()
    names = [name for name in corruption_names(chosen.corruptions) if not missing_corruptions([name])]
    own, other = _measure(names, images, images[:few], peer, chosen.rounds, recorded)
    console.print(
        _table(
            own,
            other,
            f"{size}×{size}; {_machine()}, 1 thread, {count} images ({few} for "
            f"the peer), median of {chosen.rounds} rounds",
            recorded,
        )
    )
    if size == 32:
        console.print(_memory(names))
    if size == 32 and set(recorded) & set(own):
        console.print(_share_of_evaluation(images, own))


def _smooth_images(count: int, size: int = 32) -> UInt8Array:
    """Return images with the neighbourly pixels of photographs, uint8 (count, size, size, 3)."""
    coarse = torch.rand(count, 3, size // 4, size // 4, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp_(0, 1)
    return fine.mul_(255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def _peer() -> PeerCorrupt | None:
    """Return `imagecorruptions`' function on one thread, or None where it cannot be imported."""
    try:
        import cv2
        import imagecorruptions
    except ImportError:
        return None
    cv2.setNumThreads(1)
    parts = imagecorruptions.corruptions
    gaussian = parts.gaussian
    setattr(np, "float_", np.float64)  # noqa: B010 (the name that NumPy 2 dropped, unknown to type checkers)

    def translated(*args: object, multichannel: bool = False, **kwargs: object) -> object:
        return gaussian(*args, channel_axis=-1 if multichannel else None, **kwargs)

    parts.gaussian = translated
    return lambda image, name, level: imagecorruptions.corrupt(image, level, name)


def _measure(
    names: Sequence[str],
    images: UInt8Array,
    few: UInt8Array,
    peer: PeerCorrupt | None,
    rounds: int,
    recorded: Recorded,
) -> tuple[dict[str, float], dict[str, float]]:
    """Return median seconds per image of this library and, where it runs, of the peer."""
    own: dict[str, list[float]] = {name: [] for name in names}
    other: dict[str, list[float]] = {}
    running = {name for name in names if name in recorded and peer and _runs(peer, few[0], name)}
    for turn in range(rounds + 1):  # the first to warm up
        for name in own:
            seconds = _seconds(lambda level, name=name: corrupt(images, name, level)) / len(images)
            own[name] += [seconds] * (turn > 0)
            if peer and name in running:
                seconds = _seconds(lambda level, name=name: [peer(image, name, level) for image in few])
                other.setdefault(name, []).extend([seconds / len(few)] * (turn > 0))
    return tuple({name: statistics.median(times) for name, times in all_.items()} for all_ in (own, other))


def _runs(peer: PeerCorrupt, image: UInt8Array, name: str) -> bool:
    try:
        peer(image, name, 1)
    except Exception:
        return False
    return True


def _seconds(work: Callable[[int], object]) -> float:
    """Return the mean seconds over the five severities."""
    started = time.process_time()
    for level in SEVERITIES:
        work(level)
    return (time.process_time() - started) / len(SEVERITIES)


def _table(own: dict[str, float], other: dict[str, float], how: str, known: Recorded) -> Table:
    table = Table(title=f"Images per second, mean over 5 severities, {how}; * recorded, not measured here")
    for column in ("corruption", "winninghand", "imagecorruptions", "ratio", "reference script *", "ratio "):
        table.add_column(column, justify="left" if column == "corruption" else "right")
    recorded = {name: (1 / script, other.get(name, 1 / package)) for name, (script, package) in known.items()}
    for name, seconds in own.items():
        script, package = recorded.get(name, (None, None))
        table.add_row(*_row(name, seconds, script, package, "" if name in other else " *"))
    common = [name for name in own if name in RECORDED_AT_32]
    others = [name for name in common if name != "glass_blur"]
    table.add_section()
    for chosen in (common, others) if 0 < len(others) < len(common) else (common,) if common else ():
        total = sum(own[name] for name in chosen) / len(chosen)
        sums = [sum(recorded[name][place] for name in chosen) / len(chosen) for place in (0, 1)]
        lacking = sum(name not in other for name in chosen)
        mark = f" ({lacking} of them *)" if lacking else ""
        without = "" if chosen is common else " without glass_blur"
        table.add_row(*_row(f"all {len(chosen)} common{without}", total, *sums, mark))
    return table


def _row(name: str, seconds: float, script: float | None, package: float | None, mark: str) -> list[str]:
    if script is None or package is None:
        return [name, f"{1 / seconds:,.0f}", "", "", "", ""]
    return [
        name,
        f"{1 / seconds:,.0f}",
        f"{1 / package:,.4g}{mark}",
        f"{package / seconds:.2f}",
        f"{1 / script:,.4g}",
        f"{script / seconds:.2f}",
    ]


def _machine() -> str:
    with Path("/proc/cpuinfo").open() as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _memory(names: Sequence[str]) -> str:
    """Return how far the peak grows while 10,000 images go through every corruption."""
    images = np.repeat(_smooth_images(100), 100, axis=0)
    before = _peak()
    for name in names:
        corrupt(images, name, 5)
    return (
        f"Peak resident memory: {before:.0f} MiB, after 10,000 images of each corruption {_peak():.0f} MiB."
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@torch.inference_mode()
def _share_of_evaluation(images: UInt8Array, own: dict[str, float]) -> str:
    """Return what generating the common corruptions adds to evaluating a ResNet-18 of width 64."""
    model = network("resnet18", width=64, classes=10).eval().to(memory_format=torch.channels_last)
    batch = torch.from_numpy(images[:64]).permute(0, 3, 1, 2).float()
    model(batch)
    times = []
    for _ in range(5):
        started = time.process_time()
        model(batch)
        times.append((time.process_time() - started) / len(batch))
    common = [own[name] for name in RECORDED_AT_32 if name in own]
    generating = sum(common) / len(common)
    forward = statistics.median(times)
    return (
        f"Generating: {generating * 1e6:.0f} µs an image; ResNet-18, width 64: {forward * 1e6:.0f} µs "
        f"(batch 64, median of 5); generating adds {generating / forward:.1%}."
    )


if __name__ == "__main__":
    main()

"""How fast the training domains are: beside Pillow, and beside the network they feed."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks import augmix_in_pillow
from winninghand.augmentation import Domain, make_domain
from winninghand.networks import network

BATCH = 128
VIEW_ROUNDS, STEP_ROUNDS = 15, 5
WITHOUT_DIVERGENCE = {"name": "augmix", "jsd": False}
DOMAINS = {
    "clean": "clean",
    "gaussian": "gaussian",
    "augmix, no divergence": WITHOUT_DIVERGENCE,
    "trivialaugment": "trivialaugment",
    "pixmix": "pixmix",
}
SEVERAL_VIEWS = {
    "augmix": "augmix",
    "gaussian, divergence": {"name": "gaussian", "jsd": True},
    "hybridaugment": "hybridaugment",
    "hybridaugment, single": {"name": "hybridaugment", "paired": False},
    "hybridaugment, paired": {"name": "hybridaugment", "single": False},
    "prime": "prime",
    "prime, no divergence": {"name": "prime", "jsd": False},
    "afa": "afa",
    "afa, no divergence": {"name": "afa", "jsd": False},
}


def main() -> None:
    """Print views per second beside Pillow's, on one core, and the cost of a training step by domain."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    console = Console()
    console.print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"1 thread, torch {torch.__version__}; batch {BATCH} of 32 x 32 images"
    )
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (BATCH, 8, 8, 3), generator=generator, dtype=torch.uint8)
    images = images.repeat_interleave(4, 1).repeat_interleave(4, 2)
    console.print(_views_table(images))
    console.print(_several_views_table(images.to(device)))
    console.print(_steps_table(images.to(device)))


def _views_table(images: Tensor) -> Table:
    """Compare CPU time on one thread, in turns; flip, crop and the clean view are in both."""
    table = Table(title=f"AugMix views beside Pillow's: medians of {VIEW_ROUNDS} rounds, CPU time")
    for column in (
        "views of an image",
        "winninghand, views/s",
        "Pillow, views/s",
        "ratio (lowest - highest)",
    ):
        table.add_column(column, justify="right")
    torch.set_num_threads(1)
    for label, spec, augmented in (
        ("1 augmented", WITHOUT_DIVERGENCE, 1),
        ("clean + 2 augmented", "augmix", 2),
    ):
        domain, generator = make_domain(spec), torch.Generator().manual_seed(0)
        chance = np.random.default_rng(0)
        ours, theirs = _in_turns(
            VIEW_ROUNDS,
            lambda domain=domain, generator=generator: domain.views(images, generator),
            lambda augmented=augmented, chance=chance: augmix_in_pillow.views(
                images.numpy(), chance, augmented
            ),
        )
        ratios = [slow / fast for fast, slow in zip(ours, theirs, strict=True)]
        made = BATCH * augmented
        table.add_row(
            label,
            f"{made / statistics.median(ours):,.0f}",
            f"{made / statistics.median(theirs):,.0f}",
            f"{statistics.median(ratios):.1f} ({min(ratios):.1f} - {max(ratios):.1f})",
        )
    return table


def _several_views_table(images: Tensor) -> Table:
    """Compare domains of several views, in turns; all views of the batch, the clean one included."""
    table = Table(title=f"A batch beside AugMix's, {images.device}: medians of {VIEW_ROUNDS} rounds")
    for column in ("domain", "views of an image", "ms", "ratio (lowest - highest)"):
        table.add_column(column, justify="left" if column == "domain" else "right")
    domains = {label: make_domain(spec) for label, spec in SEVERAL_VIEWS.items()}
    generator = torch.Generator(images.device).manual_seed(0)
    times = _in_turns(
        VIEW_ROUNDS, *(lambda domain=domain: domain.views(images, generator) for domain in domains.values())
    )
    for (label, domain), mine in zip(domains.items(), times, strict=True):
        ratios = [one / augmix for one, augmix in zip(mine, times[0], strict=True)]
        table.add_row(
            label,
            str(len(domain.views(images[:1], generator))),
            f"{1e3 * statistics.median(mine):.1f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})",
        )
    return table


def _steps_table(images: Tensor) -> Table:
    """Compare whole training steps, in turns."""
    table = Table(
        title=f"A training step of ResNet-18, width 64, bfloat16, {images.device}: {STEP_ROUNDS} rounds"
    )
    for column in ("domain", "views, ms", "step, ms", "step / clean (lowest - highest)"):
        table.add_column(column, justify="left" if column == "domain" else "right")
    domains = {label: make_domain(spec) for label, spec in DOMAINS.items()}
    generator = torch.Generator(images.device).manual_seed(0)
    step = _training_step(images, generator)
    views = _in_turns(
        STEP_ROUNDS, *(lambda domain=domain: domain.views(images, generator) for domain in domains.values())
    )
    steps = _in_turns(STEP_ROUNDS, *(lambda domain=domain: step(domain) for domain in domains.values()))
    for label, view, whole in zip(domains, views, steps, strict=True):
        ratios = [mine / clean for mine, clean in zip(whole, steps[0], strict=True)]
        table.add_row(
            label,
            f"{1e3 * statistics.median(view):.2f}",
            f"{1e3 * statistics.median(whole):.1f}",
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} - {max(ratios):.3f})",
        )
    return table


def _training_step(images: Tensor, generator: torch.Generator) -> Callable[[Domain], None]:
    device = images.device
    model = network("resnet18", width=64, classes=10).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    labels = torch.arange(len(images), device=device) % 10

    def step(domain: Domain) -> None:
        views = domain.views(images, generator)
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        domain.loss(logits.float(), labels).backward()
        optimizer.step()

    return step


def _in_turns(rounds: int, *tasks: Callable[[], object]) -> list[list[float]]:
    """Return the seconds of each task in each round, after one round to warm up."""
    times: list[list[float]] = [[] for _ in tasks]
    for turn in range(rounds + 1):
        for kept, task in zip(times, tasks, strict=True):
            begin = _now()
            task()
            if turn:
                kept.append(_now() - begin)
    return times


def _now() -> float:
    """Return the process's CPU time, which neighbours hardly disturb; with a GPU, the time of day."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()

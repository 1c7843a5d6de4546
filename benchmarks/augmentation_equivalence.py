"""AugMix and its operations beside Pillow's, on the CIFAR-10 test images where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_sample_images
from torch import Tensor

from benchmarks.augmix_in_pillow import augmix
from benchmarks.operations_in_pillow import IN_PILLOW
from winninghand.augmentation import make_domain
from winninghand.augmentation.augmix import AUGMIX_OPERATIONS, draw_operations
from winninghand.augmentation.chains import mix_compiled
from winninghand.augmentation.tensor_operations import mix_tensors
from winninghand.images import load_images

ROOT = Path("../shared/data")
COUNT, REPEATS = 5_000, 4
BANDS = {"low": (0, 4), "middle": (4, 10), "high": (10, 24)}
"""Radial frequencies, in periods per 32 pixels."""


def main() -> None:
    """Print how far each operation and the whole of AugMix are from Pillow's."""
    images, source = _images()
    console = Console()
    console.print(f"Images: {source}, n = {len(images)}; torch {torch.__version__}")
    console.print(_operations_table(images))
    console.print(_distribution_table(images))


def _images() -> tuple[Tensor, str]:
    """Return CIFAR-10 test images, or tiles of two photographs where there is no copy of CIFAR-10."""
    if (ROOT / "cifar10").exists():
        images = load_images("cifar10", root=ROOT).test.images[:COUNT]
        return torch.from_numpy(np.ascontiguousarray(images)), "CIFAR-10 test"
    tiles = [
        torch.from_numpy(photograph[::2, ::2].copy()).unfold(0, 32, 32).unfold(1, 32, 32)
        for photograph in load_sample_images().images
    ]
    images = torch.stack(tiles).permute(0, 1, 2, 4, 5, 3).reshape(-1, 32, 32, 3)
    return images.contiguous(), "two photographs in tiles"


def _operations_table(images: Tensor) -> Table:
    table = Table(title="Operations at AugMix's levels, severity 10: difference from Pillow in levels")
    for column in (
        "operation",
        "compiled: largest",
        "values that differ",
        "tensors: largest",
        "values that differ",
    ):
        table.add_column(column, justify="left" if column == "operation" else "right")
    generator = torch.Generator().manual_seed(0)
    drawn, strengths = draw_operations((len(images) * 40,), 10.0, (32, 32), generator)
    for operation in AUGMIX_OPERATIONS:
        magnitudes = strengths[drawn == operation][: len(images)]
        peer = [
            np.asarray(IN_PILLOW[operation](Image.fromarray(pixels), float(magnitude)))
            for pixels, magnitude in zip(images.numpy(), magnitudes, strict=True)
        ]
        expected = torch.from_numpy(np.stack(peer)).int()
        cells = []
        for path in (mix_compiled, mix_tensors):
            shape = (len(images), 1, 1, 1)
            operations = torch.full(shape, int(operation))
            shares = torch.tensor([0.0, 1.0]).expand(len(images), 1, 2)
            found = path(images, operations, magnitudes.view(shape), shares)[0].mul(255).round().int()
            apart = (found - expected).abs()
            cells += [str(apart.max().item()), f"{(apart > 0).float().mean().item():.1e}"]
        table.add_row(operation.name.lower(), *cells)
    return table


def _distribution_table(images: Tensor) -> Table:
    """Compare statistics per image; the same images go through both, with other random numbers."""
    images = images.repeat(REPEATS, 1, 1, 1)
    domain = make_domain({"name": "augmix", "jsd": False, "padding": 0, "flip": False})
    ours = domain.views(images, torch.Generator().manual_seed(0))[0]
    chance = np.random.default_rng(0)
    peer = np.stack([augmix(Image.fromarray(pixels), chance) for pixels in images.numpy()])
    clean = images.permute(0, 3, 1, 2).float() / 255
    here = _statistics(ours, clean)
    there = _statistics(torch.from_numpy(peer).permute(0, 3, 1, 2), clean)
    table = Table(title=f"AugMix, severity 3, no flip or crop: means over {len(images)} views")
    for column in ("statistic", "winninghand", "Pillow", "ratio", "difference in standard errors"):
        table.add_column(column, justify="left" if column == "statistic" else "right")
    for name, values in here.items():
        apart = values - there[name]
        errors = apart.mean() / (apart.std() / len(apart) ** 0.5)
        mean, expected = values.mean().item(), there[name].mean().item()
        table.add_row(
            name, f"{mean:.5f}", f"{expected:.5f}", f"{mean / expected:.4f}", f"{errors.item():+.1f}"
        )
    return table


def _statistics(views: Tensor, clean: Tensor) -> dict[str, Tensor]:
    """Return one number per view (N,): distance from clean, channel moments, power by radial band."""
    found = {"RMSE from clean": (views - clean).square().mean((1, 2, 3)).sqrt()}
    for channel, name in enumerate(("red", "green", "blue")):
        found[f"mean of {name}"] = views[:, channel].mean((1, 2))
        found[f"deviation of {name}"] = views[:, channel].std((1, 2))
    frequencies = torch.fft.fftfreq(views.shape[-1]) * views.shape[-1]
    radius = (frequencies[:, None].square() + frequencies.square()).sqrt()
    power = torch.fft.fft2(views - views.mean((2, 3), keepdim=True)).abs().square().mean(1)
    for name, (low, high) in BANDS.items():
        inside = (radius >= low) & (radius < high)
        found[f"log power, {name} band"] = power[:, inside].mean(1).add(1e-6).log()
    return found


if __name__ == "__main__":
    main()

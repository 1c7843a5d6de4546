"""What a run does with its images: it serves them in a seeded order, and measures them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from winninghand.augmentation import Domain
from winninghand.base.device import to_unit
from winninghand.base.randomness import seed_of
from winninghand.compression.masks import EXAMPLES_AT_ONCE
from winninghand.images import Split
from winninghand.images.image_set import balanced_sample
from winninghand.spectra import SpectralProfile

Triple = tuple[float, float, float]

LEAST_STEPS = 8
"""Batches whose size is left to the library divide an epoch into at least so many steps."""

# A profile's mean is known to within 2% of its spread from this many images.
_PROFILE_IMAGES = 2048


def generator_of(device: torch.device, *parts: int | str) -> torch.Generator:
    """Return a generator on `device` seeded by `parts`."""
    return torch.Generator(device).manual_seed(seed_of(*parts))


class ResidentSplit:
    """A split that lies on the training device, uint8, served in batches of one size.

    Each epoch visits the images in an order that depends on its seed parts alone. The images
    that do not fill a last batch are left to other epochs; a split smaller than a batch is one.
    """

    def __init__(self, split: Split, batch_size: int, device: torch.device) -> None:
        self.images = torch.from_numpy(split.images).to(device)
        self.labels = torch.from_numpy(split.labels).to(device)
        self.batch_size = min(batch_size, len(split))

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self.labels) // self.batch_size

    def epoch(self, *seed_parts: int | str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images uint8 (B, H, W, 3) and labels int64 (B,)."""
        device = self.images.device
        order = torch.randperm(
            len(self.labels), generator=generator_of(device, *seed_parts, "order"), device=device
        )
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            indices = order[start : start + self.batch_size]
            yield self.images[indices], self.labels[indices]

    def sample(self, per_class: int, *seed_parts: int | str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield some images of each class, as far as there are so many, in mixed batches of at most 128."""
        labels, seed = self.labels.cpu().numpy(), seed_of(*seed_parts, "sample")
        chosen = balanced_sample(labels, per_class * len(np.unique(labels)), seed)
        order = np.random.default_rng(seed).permutation(chosen)
        for part in np.array_split(order, math.ceil(len(order) / EXAMPLES_AT_ONCE)):
            indices = torch.from_numpy(part).to(self.labels.device)
            yield self.images[indices], self.labels[indices]

    def in_order(self, first: int = 0, every: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images once, in their stored order; of their batches the `first` and `every` so many."""
        batches = zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True)
        yield from itertools.islice(batches, first, None, every)


def channel_statistics(split: Split) -> tuple[Triple, Triple]:
    """Return mean and standard deviation of each channel over all pixels, in units of [0, 1]."""
    levels = np.arange(256) / 255
    moments = []
    for channel in range(3):
        weights = np.bincount(split.images[..., channel].reshape(-1), minlength=256)
        mean = float(np.average(levels, weights=weights))
        variance = float(np.average((levels - mean) ** 2, weights=weights))
        # A channel of one colour must not be divided by zero.
        moments.append((mean, max(variance**0.5, 1 / 255)))
    means, deviations = zip(*moments, strict=True)
    return means, deviations


@torch.no_grad()
def training_profile(domain: Domain, split: Split, seed: int, device: torch.device) -> SpectralProfile:
    """Return the spectral profile of a seeded sample of the split under the domain's own change.

    Padding, crop and flip are left out: no test image has their black margin. The profile of the same
    images without augmentation is in its `clean`.
    """
    indices = split.balanced_sample(min(len(split), _PROFILE_IMAGES), seed)
    images = torch.from_numpy(split.take(indices).images).to(device)
    views = domain.plain().views(images, generator_of(device, seed, "profile"))
    return SpectralProfile.of(views[-1], clean=to_unit(images)).to("cpu")

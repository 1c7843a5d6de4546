"""What a run does with its images: it serves them in a seeded order, and measures them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from winninghand.augmentation import Domain
from winninghand.base.device import to_unit
from winninghand.base.randomness import seed_of
from winninghand.compression.masks import EXAMPLES_AT_ONCE
from winninghand.images import Split
from winninghand.images.checks import StreamedImages
from winninghand.images.image_set import balanced_sample
from winninghand.spectra import SpectralProfile, log_spectra

Triple = tuple[float, float, float]

WHOLE = slice(None)
LEAST_STEPS = 8
"""Batches whose size is left to the library divide an epoch into at least so many steps."""

# A profile's mean is known to within 2% of its spread from this many images.
_PROFILE_IMAGES = 2048
_PROFILE_PIXELS = _PROFILE_IMAGES * 64 * 64
# As many images as a sum over their pixels looks at: 1,024 of 64×64.
_PIXELS_AT_ONCE = 1024 * 64 * 64


def generator_of(device: torch.device, *parts: int | str) -> torch.Generator:
    """Return a generator on `device` seeded by `parts`."""
    return torch.Generator(device).manual_seed(seed_of(*parts))


class Batches(ABC):
    """A split served in batches of one size, uint8, on the training device.

    Each epoch visits the images in an order that depends on its seed parts alone. The images
    that do not fill a last batch are left to other epochs; a split smaller than a batch is one.
    """

    def __init__(self, split: Split, batch_size: int, device: torch.device) -> None:
        self.device = device
        self.labels = torch.from_numpy(split.labels).to(device)
        self.batch_size = min(batch_size, len(split))

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self.labels) // self.batch_size

    @abstractmethod
    def epoch(
        self, *seed_parts: int | str, first: int = 0, part: slice = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images uint8 (B, H, W, 3) and labels int64 (B,), from the batch `first` on.

        Images outside of a `part` of each batch may be black, where reading them takes time.
        """

    @abstractmethod
    def at(self, places: Tensor | slice) -> Tensor:
        """Return the images at some places, uint8 (N, H, W, 3), as they are outside of a training step."""

    def sample(self, per_class: int, *seed_parts: int | str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield some images of each class, as far as there are so many, in mixed batches of at most 128."""
        labels, seed = self.labels.cpu().numpy(), seed_of(*seed_parts, "sample")
        chosen = balanced_sample(labels, per_class * len(np.unique(labels)), seed)
        order = np.random.default_rng(seed).permutation(chosen)
        for part in np.array_split(order, math.ceil(len(order) / EXAMPLES_AT_ONCE)):
            indices = torch.from_numpy(part).to(self.labels.device)
            yield self.at(indices), self.labels[indices]

    def in_order(self, first: int = 0, every: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all images once, in their stored order; of their batches the `first` and `every` so many."""
        for start in range(first * self.batch_size, len(self.labels), every * self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self.at(part), self.labels[part]


class ResidentSplit(Batches):
    """A split that lies on the training device."""

    def __init__(self, split: Split, batch_size: int, device: torch.device) -> None:
        super().__init__(split, batch_size, device)
        self.images = torch.from_numpy(split.images[:]).to(device)

    def epoch(
        self, *seed_parts: int | str, first: int = 0, part: slice = WHOLE
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images uint8 (B, H, W, 3) and labels int64 (B,), from the batch `first` on, whole."""
        generator = generator_of(self.device, *seed_parts, "order")
        order = torch.randperm(len(self.labels), generator=generator, device=self.device)
        for start in range(first * self.batch_size, len(self) * self.batch_size, self.batch_size):
            indices = order[start : start + self.batch_size]
            yield self.images[indices], self.labels[indices]

    def at(self, places: Tensor | slice) -> Tensor:
        """Return the images at some places, uint8 (N, H, W, 3)."""
        return self.images[places]


def channel_statistics(split: Split) -> tuple[Triple, Triple]:
    """Return mean and standard deviation of each channel over all pixels, in units of [0, 1].

    Of streamed images they are those of a sample of 2,048, balanced over the classes.
    """
    levels = np.arange(256) / 255
    if isinstance(split.images, StreamedImages):
        split = split.take(split.balanced_sample(min(len(split), _PROFILE_IMAGES), 0))
    counts = np.zeros((3, 256), dtype=np.int64)
    at_once = max(1, _PIXELS_AT_ONCE // math.prod(split.size))
    for start in range(0, len(split), at_once):
        images = split.images[start : start + at_once]
        counts += [np.bincount(images[..., channel].reshape(-1), minlength=256) for channel in range(3)]
    moments = []
    for weights in counts:
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
    images without augmentation is in its `clean`. Images beyond 64×64 pixels are looked at in parts, each of
    which has random numbers of its own.
    """
    indices = split.balanced_sample(min(len(split), _PROFILE_IMAGES), seed)
    at_once = max(1, _PROFILE_PIXELS // math.prod(split.size))
    shown, clean = [], []
    for start in range(0, len(indices), at_once):
        images = torch.from_numpy(split.images[indices[start : start + at_once]]).to(device)
        generator = generator_of(device, seed, "profile", *([start] if start else []))
        shown.append(log_spectra(domain.plain().views(images, generator)[-1]))
        clean.append(log_spectra(to_unit(images)))
    return SpectralProfile.of_spectra(torch.cat(shown), torch.cat(clean)).to("cpu")

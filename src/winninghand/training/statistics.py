"""What a run measures on its training images before and after it trains."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from winninghand.augmentation import Domain
from winninghand.base.pixels import to_unit
from winninghand.images import Split
from winninghand.spectra import SpectralProfile
from winninghand.training.seeds import generator_of

Triple = tuple[float, float, float]

# A profile's mean is known to within 2% of its spread from this many images.
_PROFILE_IMAGES = 2048


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
    """Return the spectral profile of a seeded sample of the split, as the domain shows it in training.

    The profile of the same images without augmentation is in its `clean`.
    """
    indices = split.balanced_sample(min(len(split), _PROFILE_IMAGES), seed)
    images = torch.from_numpy(split.take(indices).images).to(device)
    views = domain.views(images, generator_of(device, seed, "profile"))
    return SpectralProfile.of(views[-1], clean=to_unit(images)).to("cpu")


def fingerprint(split: Split) -> str:
    """Return a short hash of a split: its shape, all its labels and a few of its images."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr(split.images.shape).encode())
    digest.update(np.ascontiguousarray(split.labels).tobytes())
    digest.update(np.ascontiguousarray(split.images[:: max(1, len(split) // 64)]).tobytes())
    return digest.hexdigest()

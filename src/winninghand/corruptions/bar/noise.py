"""Noise of C-bar from a random spectrum: `blue_noise_sample` and `brownish_noise`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from winninghand.base.randomness import CounterRNG
from winninghand.corruptions.corrupt import corruption
from winninghand.corruptions.planes import to_images, to_planes

Amplitude = Callable[[Tensor], Tensor]

BLUE_NOISE = (0.7, 1.4, 2.1, 3.5, 4.2)
BROWNISH_NOISE = (2.5, 4, 5.5, 6.5, 7)


@corruption("blue_noise_sample", "noise", group="bar")
def blue_noise_sample(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Turn the pixels black where blue noise is lowest; those lie apart from each other."""
    return blackened(images, BLUE_NOISE[severity - 1], _phases(images, rng))


def blackened(images: Tensor, strength: float, phases: Tensor) -> Tensor:
    """Return images whose pixels are black where the field of `phases` (N, S, S / 2) is low enough."""
    kept = _cropped(random_field(phases, lambda radius: radius), images) > 0.3 * strength - 2.5
    return images * kept[..., None]


@corruption("brownish_noise", "noise", group="bar")
def brownish_noise(images: Tensor, severity: int, rng: CounterRNG) -> Tensor:
    """Add noise that is strong at low frequencies, for each channel its own; the colours shift, too."""
    return clouded(images, BROWNISH_NOISE[severity - 1], _phases(images, rng, 3))


def clouded(images: Tensor, strength: float, phases: Tensor) -> Tensor:
    """Return images with the fields of `phases` (N, 3, S, S / 2) added, as strong as 1 / (radius² + 1)."""
    field = random_field(phases, lambda radius: 1 / (radius**2 + 1))
    return to_images(to_planes(images, torch.float64).add_(_cropped(field, images), alpha=6.4 * strength))


def _phases(images: Tensor, rng: CounterRNG, *channels: int) -> Tensor:
    """Return phases for fields that cover the images; the side of such a field is even."""
    half = (max(images.shape[1:3]) + 1) // 2
    return rng.uniform(*channels, 2 * half, half).double().mul_(2 * math.pi)


def _cropped(field: Tensor, images: Tensor) -> Tensor:
    return field[..., : images.shape[1], : images.shape[2]]


def random_field(phases: Tensor, amplitude: Amplitude) -> Tensor:
    """Return fields float64 (…, S, S) of standard deviation 1; their mean is not removed.

    `phases` (…, S, S / 2) belong to one half of the spectrum; the other half has them reversed.
    `amplitude` gives the spectrum's amplitudes by radius, in cycles per side.
    """
    side = phases.shape[-2]
    places = torch.arange(-(side // 2), side // 2, dtype=torch.float64, device=phases.device)
    strength = amplitude(torch.hypot(places[:, None], places))
    whole = torch.cat([phases, phases.flip(-2, -1)], -1)
    spectrum = torch.polar(strength.expand_as(whole), whole)
    field: Tensor = torch.fft.ifft2(torch.fft.ifftshift(spectrum, (-2, -1))).real
    return field / field.std((-2, -1), correction=0, keepdim=True)

"""`hybridaugment`: images whose high frequencies, and maybe amplitudes, are those of others."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from winninghand.augmentation.augmix import HIGHEST_LEVEL, LOWEST_LEVEL, draw_operations
from winninghand.augmentation.chains import mix_chains
from winninghand.augmentation.domain import Clean, flip_and_crop

SIGMA = 0.5
"""Standard deviation, in pixels, of the blur that parts low frequencies from high ones."""

SMALLEST_POWER = 1e-18
"""Keeps the phase of an empty frequency finite."""


class HybridAugment(Clean):
    """HybridAugment and HybridAugment++ (Yucel, Cinbis & Duygulu 2023, arXiv:2307.11823).

    The low part of an image is a blurred copy of it, the high part is the rest. Flip and crop come
    first. `single` then sends each image through one of AugMix's nine operations, at a level up to
    `severity`. With probability `single_probability` a copy goes through a second one; the result has
    the low part of one and the high part of the other. `paired` adds a second view. In it an image
    has, with probability `probability`, the high part of another image of the batch.

    `swap` makes the two plusses: the low part first gets other amplitudes and keeps its phases. In
    `single` the low part first goes through an operation. In half of the cases a copy goes through one
    more, and the result has the phases of one and the amplitudes of the other. In `paired` they are the
    amplitudes of another image's low part, with probability `probability`.

    The loss is the sum of the views' cross-entropies with the labels of the low parts. Values are
    clamped to [0, 1].
    """

    name: ClassVar[str] = "hybridaugment"
    mixes: ClassVar[bool] = True

    single: bool = True
    paired: bool = True
    swap: bool = True
    single_probability: float = Field(default=0.5, ge=0, le=1)
    probability: float = Field(default=0.6, ge=0, le=1)
    severity: float = Field(default=3.0, ge=LOWEST_LEVEL, le=HIGHEST_LEVEL)

    @field_validator("paired")
    @classmethod
    def _single_or_paired(cls, paired: bool, given: ValidationInfo) -> bool:
        if not (paired or given.data.get("single", True)):
            raise ValueError("set it or single, or both, to true")
        return paired

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images after flip, crop and `single`; with `paired` a view mixed in the batch, too."""
        base = flip_and_crop(images, generator, self.padding, self.flip)
        first = self._single(base, generator) if self.single else base.float().div_(255)
        views = torch.stack([first, self._paired(first, generator)]) if self.paired else first[None]
        return views.movedim(-1, -3)

    def loss(self, logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the sum of the views' cross-entropies."""
        return super().loss(logits, labels, label_smoothing) * len(logits)

    def _single(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return images uint8 (B, H, W, 3) as float32 in [0, 1], some mixed with a copy of their own."""
        count, height, width, _ = images.shape
        operations, magnitudes = draw_operations((count, 4), self.severity, (height, width), generator)
        chances = torch.rand(4, count, 1, 1, 1, generator=generator, device=images.device)
        first = _after_operations(images, operations[:, :1], magnitudes[:, :1])

        here = (chances[0].flatten() < self.single_probability).nonzero().flatten()
        operations, magnitudes = operations[here], magnitudes[here]
        low_of_once, swapped, phases_of_once = chances[1:, here] < 0.5
        once = first[here]
        twice = _after_operations(images[here], operations[:, :2], magnitudes[:, :2])
        low = blur(torch.where(low_of_once, once, twice))
        rest = torch.where(low_of_once, twice, once)
        high = rest - blur(rest)
        if self.swap:
            levels = low.mul_(255).round_().byte()
            low = _after_operations(levels, operations[:, 2:3], magnitudes[:, 2:3])
            there = swapped.flatten().nonzero().flatten()
            copies = _after_operations(levels[there], operations[there, 2:], magnitudes[there, 2:])
            chosen = phases_of_once[there]
            phases = torch.where(chosen, low[there], copies)
            amplitudes = torch.where(chosen, copies, low[there])
            low.index_copy_(0, there, with_amplitudes(phases, amplitudes).clamp_(0, 1))
        return first.index_copy_(0, here, low.add_(high).clamp_(0, 1))

    def _paired(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return images (B, H, W, 3), some of whose high parts, and amplitudes of low ones, are of others."""
        count, device = len(images), images.device
        mixed, swapped = torch.rand(2, count, generator=generator, device=device) < self.probability
        high_of = torch.randperm(count, generator=generator, device=device)
        amplitudes_of = torch.randperm(count, generator=generator, device=device)

        low = blur(images)
        here = mixed.nonzero().flatten()
        others = high_of[here]
        high = images[others] - low[others]
        mixtures = low[here]
        if self.swap:
            there = swapped[here].nonzero().flatten()
            amplitudes = low[amplitudes_of[here[there]]]
            mixtures.index_copy_(0, there, with_amplitudes(mixtures[there], amplitudes))
        return images.index_copy(0, here, mixtures.add_(high).clamp_(0, 1))


def blur(images: Tensor) -> Tensor:
    """Return images (B, H, W, 3) averaged over 3×3 pixels with Gaussian weights; borders are reflected."""
    side = math.exp(-0.5 / SIGMA**2)
    middle = 1 / (1 + 2 * side)
    for dimension in (1, 2):
        last = images.shape[dimension] - 1
        averaged = images * middle
        # Where lines are added, where they come from, and how many; the two borders come last.
        for place, origin, length in (
            (1, 0, last),
            (0, 1, last),
            (0, min(1, last), 1),
            (last, max(last - 1, 0), 1),
        ):
            values = images.narrow(dimension, origin, length)
            averaged.narrow(dimension, place, length).add_(values, alpha=side * middle)
        images = averaged
    return images


def with_amplitudes(images: Tensor, others: Tensor) -> Tensor:
    """Return images (B, H, W, 3) with the phases of `images` and the amplitudes of `others`.

    Spectra are taken over channels, rows and columns at once (Chen et al. 2021, arXiv:2108.08487).
    """
    if len(images) == 0:  # which some Fourier transforms refuse
        return images
    # They are three times faster over rows that lie together.
    pair = torch.stack([images, others]).movedim(-1, -3).contiguous()
    phases, amplitudes = torch.fft.rfftn(pair, dim=(-3, -2, -1))
    ratios = (_power(amplitudes) / _power(phases).clamp(min=SMALLEST_POWER)).sqrt()
    found: Tensor = torch.fft.irfftn(phases * ratios, s=pair.shape[-3:], dim=(-3, -2, -1))
    return found.movedim(-3, -1)


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()


def _after_operations(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Return images uint8 (B, H, W, 3) after the operations (B, K) in turn, float32 in [0, 1]."""
    shares = torch.tensor([0.0, 1.0], device=images.device).expand(len(images), 1, 2)
    return mix_chains(images, operations[:, None, None], magnitudes[:, None, None], shares)[0]

"""`prime`: mixtures of short chains of three random primitives, and predictions that must agree."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from winninghand.augmentation import prime_kernels
from winninghand.augmentation.augmix import draw_shares
from winninghand.augmentation.chains import over_threads
from winninghand.augmentation.consistency import Chained
from winninghand.augmentation.domain import flip_and_crop
from winninghand.augmentation.prime_kernels import COLOR, FILTER, WARP

IMAGES_PER_FIELD = 64
"""A displacement field serves so many images of a batch; each of them has all else of its own."""


class Prime(Chained):
    """PRIME (Modas et al. 2022): filters, colour curves and smooth displacements, in mixed chains.

    After flip and crop, `width` chains of `depth` primitives (−1: 1 to 3, drawn per chain) are mixed
    with Dirichlet(1) weights, and their mixture with the image by a Beta(1, 1) share. A primitive is,
    with even chances, one of three. Each clamps to [0, 1].

    - A filter over 3×3 pixels: the identity plus σ times normal numbers, σ uniform up to `filter`.
    - A colour curve per channel: x + √T Σ N_k sin(πkx), k = 1 .. K, T uniform up to `color` and K up
      to `waves`.
    - A displacement by two fields √T Σ N_ij sin(iπu) sin(jπv)/r over i² + j² = r² < (c + ½)²; c lies
      in 2 .. `waves`, and T between that of half a pixel and the largest without overhangs. `warp`
      scales the displacement: 1 is the published one.

    With `jsd` a batch has three views, the clean one and two augmented ones, and the loss is the clean
    view's cross-entropy plus `jsd_weight` times the Jensen–Shannon divergence among the three.
    """

    name: ClassVar[str] = "prime"
    overlaps: ClassVar[frozenset[str]] = frozenset({"elastic_transform"})

    filter: float = Field(default=4.0, ge=0)
    color: float = Field(default=0.01, ge=0)
    warp: float = Field(default=1.0, ge=0)
    waves: int = Field(default=100, ge=3, le=1000)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return the clean view and two augmented ones of the same flip and crop; without JSD, one."""
        base = flip_and_crop(images, generator, self.padding, self.flip)
        base = base.movedim(-1, 1).contiguous().float().div_(255)
        count, _, height, width = base.shape
        slots = count, 2 if self.jsd else 1, self.width, self.steps
        primitives = self._primitives(slots, (height, width), generator)
        views = mix_primitives(base, primitives, draw_shares(slots[:3], 1.0, generator))
        return views if self.jsd else views[1:]

    def _primitives(
        self, slots: tuple[int, int, int, int], size: tuple[int, int], generator: torch.Generator
    ) -> Primitives:
        device = generator.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=device)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=device)

        count, views, _, steps = slots
        operations = torch.randint(FILTER, WARP + 1, slots, generator=generator, device=device)
        operations = self.cut(operations, 0, generator)

        filters = normal(*slots, 9).mul_(self.filter * uniform(*slots, 1))
        filters[..., 4] += 1

        temperatures = self.color * uniform(*slots, 1, 1)
        last = torch.randint(1, self.waves + 1, (*slots, 1, 1), generator=generator, device=device)
        numbers = torch.arange(1, self.waves + 1, device=device)
        waves = normal(*slots, 3, self.waves).mul_(temperatures.sqrt() * (numbers <= last))

        groups = -(-count // IMAGES_PER_FIELD)
        fields = torch.arange(groups * views * steps, device=device).view(groups, views, steps)
        corners, parts = _resampling(self._displacements(fields.numel(), size, generator))
        fields = fields.repeat_interleave(IMAGES_PER_FIELD, dim=0)[:count]
        return Primitives(operations, filters, waves, corners, parts, fields)

    def _displacements(self, count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Return `count` fields of displacements in pixels, float32 (count, 2, H, W), down and across.

        They vanish at the borders. (Petrini et al. 2021, arXiv:2105.02468, equations 2 to 4.)
        """
        device = generator.device
        side = max(size)
        highest = torch.randint(3, self.waves + 1, (count,), generator=generator, device=device)
        # The power of a sine of a uniform angle is Beta(½, ½).
        beta = torch.rand(2, count, generator=generator, device=device).mul_(math.pi / 2).sin().square()
        cut = 2 + (beta[0] * (highest - 1)).floor().clamp(max=highest - 2)
        least = 1 / (math.pi * side**2 * cut.log())
        most = (4 / (math.pi**3 * cut**2 * cut.log())).clamp(min=least)
        heat = (least + (most - least) * beta[1]).sqrt() * self.warp

        numbers = torch.arange(1, self.waves + 1, device=device)
        radii = (numbers.square() + numbers[:, None].square()).sqrt()
        drawn = torch.randn(count, 2, *radii.shape, generator=generator, device=device)
        drawn *= (radii < cut[:, None, None, None] + 0.5) / radii * heat[:, None, None, None]

        def sines(length: int) -> Tensor:
            places = torch.linspace(0, math.pi, length, device=device, dtype=torch.float64)
            return (places[:, None] * numbers).sin()

        # In double precision: how a product is divided among threads must not be seen in the result.
        fields = (sines(size[0]) @ drawn.double() @ sines(size[1]).T).float()
        return fields * torch.tensor(size, device=device)[:, None, None]


class Primitives(NamedTuple):
    """What is done to each of B images in V views, W chains and S steps; F fields serve them.

    | | |
    | --- | --- |
    | operations | int64 (B, V, W, S): 0 nothing, 1 filter, 2 colour, 3 displacement |
    | filters | float32 (B, V, W, S, 9), row by row |
    | waves | float32 (B, V, W, S, 3, K), the amplitudes of K sines per channel |
    | corners, parts | int64 and float32 (F, 4, H·W): each pixel is a sum of parts of four others |
    | fields | int64 (B, V, S): whose displacement it is |
    """

    operations: Tensor
    filters: Tensor
    waves: Tensor
    corners: Tensor
    parts: Tensor
    fields: Tensor


def mix_primitives(images: Tensor, primitives: Primitives, shares: Tensor) -> Tensor:
    """Return float32 (1 + V, B, 3, H, W): images (B, 3, H, W), and their mixtures with chains of their own.

    `shares` (B, V, 1 + W) are those of the image and its chains. Compiled on the CPU, tensor code on every
    other device. The number of threads changes nothing.
    """
    views = images.new_empty(1 + shares.shape[1], *images.shape)
    views[0] = images
    if images.device.type == "cpu":
        tensors = images, *primitives, shares, views[1:]
        over_threads(prime_kernels.mix, len(images), [tensor.contiguous().numpy() for tensor in tensors])
    else:
        views[1:] = mix_tensors(images, primitives, shares)
    return views


def mix_tensors(images: Tensor, primitives: Primitives, shares: Tensor) -> Tensor:
    """Return the mixtures alone, (V, B, 3, H, W), by tensor code.

    All three primitives are done for all, and one is taken: no step waits to see which ones are needed.
    """
    operations, filters, waves, corners, parts, fields = primitives
    count, views, chains, steps = operations.shape
    ends = images[:, None, None].expand(-1, views, chains, -1, -1, -1).flatten(0, 2)
    for step in range(steps):
        here = fields[:, :, None, step].expand(-1, -1, chains).flatten()
        kind = operations[..., step].flatten()[:, None, None, None]
        filtered = _filter(ends, filters[..., step, :].flatten(0, 2))
        colored = _color(ends, waves[..., step, :, :].flatten(0, 2))
        warped = _warp(ends, corners[here], parts[here])
        ends = torch.where(kind == FILTER, filtered, ends)
        ends = torch.where(kind == COLOR, colored, ends)
        ends = torch.where(kind == WARP, warped, ends)
    mixtures = shares[..., 0, None, None, None] * images[:, None]
    ends = ends.view(count, views, chains, *images.shape[1:])
    for chain in range(chains):
        mixtures = mixtures + shares[..., 1 + chain, None, None, None] * ends[:, :, chain]
    return mixtures.clamp_(max=1).movedim(1, 0)


def _filter(images: Tensor, weights: Tensor) -> Tensor:
    """Return images (N, 3, H, W) averaged over 3×3 pixels with weights (N, 9), zeros outside; in [0, 1]."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (1, 1, 1, 1))
    total = torch.zeros_like(images)
    for place in range(9):
        shifted = padded[..., place // 3 :, place % 3 :][..., :height, :width]
        total += weights[:, place, None, None, None] * shifted
    return total.clamp_(0, 1)


def _color(images: Tensor, waves: Tensor) -> Tensor:
    """Return images (N, 3, H, W) plus the sine series of their values, amplitudes (N, 3, K); in [0, 1].

    Clenshaw's recurrence needs no memory for the single waves, of which there are K times as many numbers.
    """
    twice = 2 * (math.pi * images).cos()
    newer = older = torch.zeros_like(images)
    for amplitudes in waves.unbind(-1)[::-1]:
        newer, older = amplitudes[..., None, None] + twice * newer - older, newer
    return (images + newer * (math.pi * images.minimum(1 - images)).sin()).clamp_(0, 1)


def _warp(images: Tensor, corners: Tensor, parts: Tensor) -> Tensor:
    """Return images (N, 3, H, W) whose pixels are `parts` (N, 4, H·W) of those at `corners` (N, 4, H·W)."""
    pixels = images.flatten(2)
    total = torch.zeros_like(pixels)
    for place in range(4):
        read = pixels.gather(2, corners[:, place, None].expand(-1, 3, -1))
        total += parts[:, place, None] * read
    return total.view_as(images)


def _resampling(displacements: Tensor) -> tuple[Tensor, Tensor]:
    """Return which four pixels each one lies between when displaced, and their parts, both (F, 4, H·W).

    `displacements` is (F, 2, H, W) in pixels, down and across; beyond its borders an image goes on as there.
    """
    height, width = displacements.shape[-2:]
    down, across = displacements.unbind(1)
    device = displacements.device
    down = (torch.arange(height, device=device)[:, None] - down).clamp(0, height - 1)
    across = (torch.arange(width, device=device) - across).clamp(0, width - 1)
    top, left = down.floor(), across.floor()
    lower, right = down - top, across - left
    rows, columns = (top.long(), down.ceil().long()), (left.long(), across.ceil().long())
    corners = [row * width + column for row in rows for column in columns]
    parts = [row * column for row in (1 - lower, lower) for column in (1 - right, right)]
    return torch.stack(corners, dim=1).flatten(2), torch.stack(parts, dim=1).flatten(2)

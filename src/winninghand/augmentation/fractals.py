"""Fractals drawn on the spot: attractors of random iterated function systems."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MAPS = 8
"""Most maps of one system; the fewest are 2."""

SETTLING, ROUNDS = 8, 16
"""Steps until a point lies on the attractor, and steps that are plotted."""

PIXELS_PER_POINT = 4

SLOTS = 64
"""A point draws one of so many slots, which the maps own in proportion to their chances."""


def fractals(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return `count` coloured fractals, float32 (count, height, width, 3) in [0, 1].

    Each is the attractor of its own 2 to 8 affine maps, played by many points at once, and shows
    how often a pixel was met on a logarithmic scale, in a random palette. The maps' singular
    values meet the condition on complexity of Anderson & Farrell (2022, section 3.1).
    """
    slots = _slots(*_systems(count, generator))
    orbits = _orbits(slots, max(1, height * width // PIXELS_PER_POINT), generator)
    return _palette(_densities(orbits, height, width), generator)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def _systems(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the maps (count, 8, 2, 3) and their cumulative chances (count, 8).

    With singular values s and t of N maps, the sum of s + 2t lies in ½(5 + N) .. ½(6 + N). A
    map's chance grows with the area it covers; maps beyond the N have none.
    """
    device = generator.device
    sizes = torch.randint(2, MAPS + 1, (count, 1), generator=generator, device=device)
    used = torch.arange(MAPS, device=device) < sizes
    complexity = (5 + sizes + torch.rand(count, 1, generator=generator, device=device)) / 2
    portions = _uniform((count, MAPS), 0.75, 1.25, generator) * used
    portions = complexity * portions / portions.sum(1, keepdim=True)
    low, high = portions / 3, portions.clamp(max=0.95)
    larger = low + (high - low) * torch.rand(count, MAPS, generator=generator, device=device)
    smaller = (portions - larger) / 2
    scaling = torch.stack([larger, smaller], dim=-1).diag_embed()
    signs = 2.0 * torch.randint(2, (count, MAPS, 1, 2), generator=generator, device=device) - 1
    linear = (_rotations(count, generator) @ scaling @ _rotations(count, generator)) * signs
    shifts = _uniform((count, MAPS, 2, 1), -1, 1, generator)
    chances = ((larger * smaller + 0.01) * used).cumsum(1)
    return torch.cat([linear, shifts], dim=-1), chances / chances[:, -1:]


def _rotations(count: int, generator: torch.Generator) -> Tensor:
    angles = _uniform((count, MAPS), 0, 2 * math.pi, generator)
    cosines, sines = angles.cos(), angles.sin()
    return torch.stack([cosines, -sines, sines, cosines], dim=-1).view(count, MAPS, 2, 2)


def _slots(maps: Tensor, chances: Tensor) -> Tensor:
    """Return the coefficients (count, SLOTS, 6) of the map that owns each slot."""
    middles = (torch.arange(SLOTS, device=maps.device) + 0.5) / SLOTS
    owners = torch.searchsorted(chances, middles.expand(len(maps), SLOTS).contiguous())
    return maps.flatten(2).gather(1, owners[..., None].expand(-1, -1, 6))


def _orbits(slots: Tensor, points: int, generator: torch.Generator) -> Tensor:
    """Return where `points` wandering points of each system were met, (count, 2, rounds · points)."""
    count, device = len(slots), slots.device
    coefficients = slots.flatten(0, 1)
    first = SLOTS * torch.arange(count, device=device)[:, None]
    x = y = torch.zeros(count, points, device=device)
    met = []
    for step in range(SETTLING + ROUNDS):
        drawn = first + torch.randint(SLOTS, (count, points), generator=generator, device=device)
        a, b, c, d, e, f = coefficients[drawn].unbind(-1)
        x, y = a * x + b * y + c, d * x + e * y + f
        if step >= SETTLING:
            met.append(torch.stack([x, y], dim=1))
    return torch.cat(met, dim=2)


def _densities(orbits: Tensor, height: int, width: int) -> Tensor:
    """Return how often each pixel was met, (count, height, width), logarithmic in [0, 1]."""
    low, high = orbits.amin(2, keepdim=True), orbits.amax(2, keepdim=True)
    places = (orbits - low) / (high - low).clamp(min=1e-6)
    columns = (places[:, 0] * width).long().clamp(max=width - 1)
    rows = (places[:, 1] * height).long().clamp(max=height - 1)
    met = rows * width + columns
    counts = torch.zeros(len(orbits), height * width, dtype=torch.long, device=orbits.device)
    levels = counts.scatter_add_(1, met, torch.ones_like(met)).float().log1p_()
    return (levels / levels.amax(1, keepdim=True)).view(-1, height, width)


def _palette(densities: Tensor, generator: torch.Generator) -> Tensor:
    """Return densities as colours: each channel is a cosine of random frequency and phase."""
    shape = (len(densities), 1, 1, 3)
    frequencies = _uniform(shape, 0.25, 1.5, generator)
    phases = _uniform(shape, 0, 1, generator)
    return 0.5 + 0.5 * torch.cos(2 * math.pi * (frequencies * densities[..., None] + phases))

"""Seeds for every purpose and step of a run, so that no random state need be stored to resume it."""

from __future__ import annotations

import hashlib

import torch


def seed_of(*parts: int | str) -> int:
    """Return a seed in 0 .. 2⁶³ − 1 that depends on all of `parts`, and on nothing else."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator_of(device: torch.device, *parts: int | str) -> torch.Generator:
    """Return a generator on `device` seeded by `parts`."""
    return torch.Generator(device).manual_seed(seed_of(*parts))

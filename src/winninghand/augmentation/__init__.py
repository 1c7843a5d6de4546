"""Training domains: batched augmentations, each one file under one registered name."""

from __future__ import annotations

from winninghand.augmentation.augment import augment, seeded_generator
from winninghand.augmentation.domain import DOMAINS, Domain, make_domain

__all__ = ["DOMAINS", "Domain", "augment", "make_domain", "seeded_generator"]

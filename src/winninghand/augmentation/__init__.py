"""Training domains: batched augmentations, each one class under one registered name."""

from __future__ import annotations

from winninghand.augmentation.augment import augment, seeded_generator
from winninghand.augmentation.domain import DOMAINS, Clean, Domain, make_domain

__all__ = ["DOMAINS", "Clean", "Domain", "augment", "make_domain", "seeded_generator"]

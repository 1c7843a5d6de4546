"""Training domains: batched augmentations, each one file under one registered name."""

from __future__ import annotations

from winninghand.augmentation.augment import augment
from winninghand.augmentation.domain import DOMAINS, Domain, make_domain

__all__ = ["DOMAINS", "Domain", "augment", "make_domain"]

"""Image operations with a magnitude per image, as Pillow defines them."""

from __future__ import annotations

from winninghand.augmentation.operations.chains import mix_chains
from winninghand.augmentation.operations.operation import Operation

__all__ = ["Operation", "mix_chains"]

"""Entropy, in bits."""

from __future__ import annotations

import numpy as np

from winninghand.cards.coding.formats import Array


def surprise(part: Array, whole: Array | float) -> Array:
    """Return the bits that `part` symbols of a kind take among `whole` symbols, element by element."""
    counts = np.maximum(part, 0)
    return np.asarray(counts * np.log2(np.maximum(whole, 1) / np.maximum(counts, 1)))

"""What information theory asks for a set of tensors under the plain model: one density per layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import lgamma, log, log2

import numpy as np
import torch

from winninghand.cards.codec.encodings import FLOATS, LEVELS, Content, fits_binary, levels_of
from winninghand.cards.codec.mask import surprise
from winninghand.cards.codec.streams import Array
from winninghand.cards.codec.tensors import scaled_content


def entropy_bound(
    tensors: Mapping[str, torch.Tensor],
    prunable: Collection[str],
    scales: Mapping[str, torch.Tensor] | None = None,
) -> float:
    """Return the entropy bound of the tensors in bytes.

    A prunable layer of n weights counts n·H(density) bits plus value bits for each that is not zero:
    1 where all share one magnitude; the empirical entropy of the level where `scales` has its float32
    scales, with the cost of the levels' histogram and the scales; else the empirical entropies of sign
    and of exponent plus the mantissa as it is. Every other tensor counts at its stored width.
    """
    bits = 0.0
    for name, tensor in tensors.items():
        content = scaled_content(name, tensor, scales)
        coded = name in prunable and content.layout.dtype in FLOATS
        bits += _layer_bits(content) if coded else 8 * content.bits.nbytes
    return bits / 8


def _layer_bits(content: Content) -> float:
    """Return the bound of one prunable layer in bits."""
    levels = levels_of(content)
    if levels is not None and content.scales is not None:
        kept = levels[levels != 0]
        return _mask_bits(kept, levels) + _histogram_bits(kept) + 8 * content.scales.nbytes
    kept = content.bits[content.bits != 0]
    mask = _mask_bits(kept, content.bits)
    if fits_binary(content):
        return mask + int(kept.size) + 8 * int(kept.itemsize)
    return mask + _float_bits(kept, content.layout.dtype)


def _mask_bits(kept: Array, weights: Array) -> float:
    """Return n·H(density) for what is kept of n weights."""
    return _entropy(np.array([kept.size, weights.size - kept.size]))


def _float_bits(kept: Array, dtype: str) -> float:
    """Return the bits of floats: sign and exponent at their entropies, the mantissa as it is."""
    layout = FLOATS[dtype]
    exponents = (kept >> layout.mantissa_bits) & ((1 << layout.exponent_bits) - 1)
    signs = np.count_nonzero(kept >> layout.sign_shift)
    symbols = _entropy(np.array([signs, kept.size - signs])) + _entropy(np.bincount(exponents))
    return symbols + int(kept.size) * layout.mantissa_bits


def _histogram_bits(levels: Array) -> float:
    """Return the bits of levels by their histogram, and of the histogram itself.

    The histogram is one of the ways to share n weights among the K levels from the lowest to the
    highest in use, all taken as equally likely: log2 of (n + K − 1 over K − 1), and the two ends.
    """
    if not levels.size:
        return 0.0
    counts = np.bincount(levels - levels.min())
    total, kinds = levels.size, counts.size
    ways = lgamma(total + kinds) - lgamma(kinds) - lgamma(total + 1)
    return _entropy(counts) + ways / log(2) + 2 * log2(LEVELS)


def _entropy(counts: Array) -> float:
    """Return the bits that symbols with these counts take, all together."""
    return float(surprise(counts, counts.sum()).sum())

"""Upper bounds of how much a layer's weights raise the Euclidean norm, rounding included."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from winninghand.theory.layers import UNIT, Layer

_SQUARINGS = 6


def spectral_norm(matrix: Tensor) -> float:
    """Return an upper bound of the largest singular value of a matrix, float64 (rows, columns).

    For symmetric A, |A|² = |A²|, and no spectral norm is above that of Frobenius. Squared six times, the
    Gram matrix gives a bound that is above by a factor n^(1/256) at most, and by what rounding may have
    taken away: a product of A with itself is off by n·u·|A|²_F at most, in the norm of Frobenius.
    """
    if matrix.numel() == 0 or not bool(matrix.any()):
        return 0.0
    # A power of two, by which dividing is exact.
    scale = 2.0 ** math.frexp(float(matrix.abs().max()))[1]
    matrix = matrix / scale
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    product, terms = wide @ wide.T, wide.shape[1]
    factors: list[tuple[float, float]] = []
    of_factors = _frobenius(wide) ** 2
    for _ in range(_SQUARINGS):
        # The product is symmetric but for its rounding, of which `lost` is twice a bound.
        lost = 2 * (terms + 2) * UNIT * of_factors
        square = (product + product.T) / 2
        size = _frobenius(square)
        factors.append((size, lost))
        square = square / size
        product, terms, of_factors = square @ square, len(square), 1.0 + 8 * UNIT
    bound = _frobenius(product) + 2 * (terms + 2) * UNIT * of_factors
    # Backwards: |A| = |A²|^(1/2), and A is `size` times what was squared, and `lost` away.
    for size, lost in reversed(factors):
        bound = ((math.sqrt(bound) + 4 * UNIT) * size + lost) * (1 + 8 * UNIT)
    return scale * math.sqrt(bound) * (1 + 8 * UNIT)


def operator_norm(layer: Layer, weight: Tensor) -> float:
    """Return an upper bound of the Euclidean norm of a layer's convolution with a weight like its own.

    A kernel sees a pixel from `windows` outputs at most, so that the norm is at most √windows times that of
    the weight as a matrix (out, in × kernel). It is at most the sum of the norms of the kernel's places, too.
    The larger of these stands for all groups.
    """
    windows = 1
    for axis in (0, 1):
        seen = math.ceil(weight.shape[2 + axis] / layer.stride[axis])
        windows *= min(seen, layer.output_shape[1 + axis], weight.shape[2 + axis])
    if layer.dilation != (1, 1):
        windows = weight.shape[2] * weight.shape[3]
    bounds = []
    for group in weight.chunk(layer.groups):
        whole = math.sqrt(windows) * (1 + 4 * UNIT) * spectral_norm(group.flatten(1))
        places = group.flatten(2).unbind(2)
        apart = math.inf
        if 1 < len(places) <= 25:
            apart = sum(spectral_norm(place) for place in places) * (1 + 64 * UNIT)
        bounds.append(min(whole, apart))
    return max(bounds)


def _frobenius(matrix: Tensor) -> float:
    """Return the norm of Frobenius, rounded up."""
    return float(torch.linalg.vector_norm(matrix)) * (1 + (matrix.numel() + 8) * UNIT)

"""How pruned weights are stored elsewhere: what the card file is measured against.

Weights are the tensors a program would hold: floats of their own width, or int8 levels; binary weights
are levels −1 and 1. Every function returns the number of bytes of the file.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping

import numpy as np
import scipy.sparse
import torch
import zstandard
from torch import Tensor

Tensors = Mapping[str, Tensor]


def saved(tensors: Tensors) -> bytes:
    """Return what `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(dict(tensors), buffer)
    return buffer.getvalue()


def gzipped(dense: bytes) -> int:
    """Gzip at its level 6 of what `torch.save` writes."""
    return len(gzip.compress(dense, 6))


def zstandard_compressed(dense: bytes) -> int:
    """Zstandard at its level 12 of what `torch.save` writes."""
    return len(zstandard.ZstdCompressor(level=12).compress(dense))


def scipy_csr(weights: Tensors, others: Tensors) -> int:
    """SciPy's compressed rows, int32 indices, in a compressed `.npz`."""
    arrays: dict[str, np.ndarray] = {name: tensor.numpy() for name, tensor in others.items()}
    for name, weight in weights.items():
        rows = weight.flatten(1).numpy()
        # SciPy has no half precision; the structure is its own, the values keep their width.
        matrix = scipy.sparse.csr_array(rows != 0)
        arrays |= {f"{name}.indices": matrix.indices, f"{name}.indptr": matrix.indptr}
        arrays[f"{name}.data"] = rows[rows != 0]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.tell()


def torch_sparse(weights: Tensors, others: Tensors) -> int:
    """`torch.save` of compressed rows, int64 indices."""
    return len(
        saved({**{name: weight.flatten(1).to_sparse_csr() for name, weight in weights.items()}, **others})
    )


def packed_mask(weights: Tensors, others: Tensors, value_bits: int) -> int:
    """One bit per weight, then the values that are not zero at their own width, packed; no header."""
    kept = sum(int(weight.count_nonzero()) for weight in weights.values())
    masks = sum(-(-weight.numel() // 8) for weight in weights.values())
    rest = sum(tensor.numel() * tensor.element_size() for tensor in others.values())
    return masks + -(-kept * value_bits // 8) + rest

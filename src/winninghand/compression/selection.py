"""The largest scores, exactly as many as asked, found by selection rather than by a sort."""

from __future__ import annotations

import torch
from torch import Tensor


def keep_largest(scores: Tensor, count: int) -> Tensor:
    """Return a bool tensor of the shape of `scores` that is true at its `count` largest elements.

    Ties at the threshold go to the lower index, so that the count is exact and the choice the
    same on every device. `count` lies in 0 .. scores.numel().
    """
    flat = scores.reshape(-1)
    if count <= 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    if count >= flat.numel():
        return torch.ones_like(scores, dtype=torch.bool)
    threshold = torch.kthvalue(flat, flat.numel() - count + 1).values
    kept = flat > threshold
    ties = (flat == threshold).nonzero().squeeze(1)
    kept[ties[: count - int(kept.sum())]] = True
    return kept.reshape(scores.shape)

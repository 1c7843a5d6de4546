"""Whether all processes of a distributed training prune the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, distributed

from winninghand.base.errors import InputError


def check_agreement(settings: object, tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Raise `InputError`, in all processes, unless settings and tensors are the same in each of them.

    All processes must call it. One number of each process is compared, on a `device` that the process
    group can use. Where nothing is distributed, nothing happens.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return
    if not agree(settings, tensors, device):
        raise InputError(
            "the processes do not prune the same: modules or settings differed when the pruner was made; use "
            "one seed in all processes, or make the pruner after DistributedDataParallel"
        )


def agree(settings: object, tensors: Mapping[str, Tensor], device: torch.device) -> bool:
    """Say whether settings and tensors are the same in all processes, which all must ask; see above."""
    number = _digest(settings, tensors)
    # The largest of the numbers, and of their negatives: one exchange finds both ends.
    ends = torch.tensor([number, -number], device=device)
    distributed.all_reduce(ends, distributed.ReduceOp.MAX)
    return int(ends[0]) == -int(ends[1])


def _digest(settings: object, tensors: Mapping[str, Tensor]) -> int:
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=7)
    for name, tensor in tensors.items():
        digest.update(name.encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return int.from_bytes(digest.digest(), "big")

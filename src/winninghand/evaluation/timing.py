"""How long a model takes per image."""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn


@torch.inference_mode()
def milliseconds_per_image(model: nn.Module, images: Tensor, repeats: int = 7) -> float:
    """Return the median wall time of `model` on the batch `images`, in milliseconds per image.

    Two unmeasured runs come first.
    """
    times = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        model(images)
        if images.device.type != "cpu":
            torch.accelerator.synchronize(images.device)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[2:]) / len(images)

"""The device at hand."""

from __future__ import annotations

import torch


def best_device() -> torch.device:
    """Return the current accelerator, or the CPU where there is none."""
    if torch.accelerator.is_available():
        accelerator = torch.accelerator.current_accelerator()
        if accelerator is not None:
            return accelerator
    return torch.device("cpu")

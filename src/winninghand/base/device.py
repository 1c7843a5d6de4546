"""The device at hand, and what pays there."""

from __future__ import annotations

import torch
from torch import nn


def best_device() -> torch.device:
    """Return the current accelerator, or the CPU where there is none."""
    if torch.accelerator.is_available():
        accelerator = torch.accelerator.current_accelerator()
        if accelerator is not None:
            return accelerator
    return torch.device("cpu")


def device_of(module: nn.Module) -> torch.device:
    """Return where the parameters of a module are; the CPU for one without any."""
    return next(module.parameters(), torch.empty(0)).device


def bf16_pays(device: torch.device) -> bool:
    """Say whether `device` multiplies bfloat16 numbers faster than float32 ones."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without the instruction, oneDNN emulates bf16 and is slower than fp32.
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())

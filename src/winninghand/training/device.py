"""Where a run computes, and how precisely."""

from __future__ import annotations

import logging
from typing import Literal

import torch
from lightning_fabric import Fabric

from winninghand.base.device import bf16_pays


def make_fabric(precision: Literal["auto", "32-true", "bf16-mixed"]) -> Fabric:
    """Return a Fabric on the best device at hand; `auto` takes bf16 where it pays there."""
    # Fabric announces its precision on standard error, where progress and errors belong.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    fabric = Fabric(accelerator="auto", devices=1)
    if precision == "auto":
        precision = "bf16-mixed" if bf16_pays(fabric.device) else "32-true"
    return Fabric(accelerator="auto", devices=1, precision=precision)


def channels_last_pays(device: torch.device) -> bool:
    """Say whether convolutions on `device` are faster on channels-last memory."""
    return device.type in ("cpu", "cuda")

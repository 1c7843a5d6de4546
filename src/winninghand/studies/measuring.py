"""Measuring a study's models, and taking up what was measured of them before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from winninghand.evaluation import RobustnessTable, available, evaluate, load_table
from winninghand.images import Split
from winninghand.progress import progress
from winninghand.studies.study import Measuring

Precision = Literal["32-true", "bf16-mixed"]


def measure(
    model: nn.Module,
    split: Split,
    settings: Measuring,
    device: torch.device,
    name: str,
    precision: Precision = "32-true",
) -> RobustnessTable:
    """Measure a model on `device`, showing progress under its `name`; it comes back on the CPU."""
    cells = 1 + len(available(settings.corruptions)[0]) * len(settings.severities)
    count = min(settings.limit or len(split), len(split))
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")
    with progress(f"measuring {name}", cells * count) as advance, mixed:
        table = evaluate(model.to(device), split, advance=advance, **settings.model_dump())
    model.cpu()
    return table


def kept_table(path: Path, facts: Mapping[str, Any]) -> RobustnessTable | None:
    """Return the table that lies at `path`, None where there is none or it was saved with other facts."""
    if not path.exists():
        return None
    table, known = load_table(path)
    return table if known == facts else None

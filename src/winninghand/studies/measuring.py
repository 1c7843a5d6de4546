"""Measuring a study's models, and taking up what was measured of them before."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from winninghand.base.device import best_device, bf16_pays
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.evaluation import RobustnessTable, evaluate_watched, load_table, save_table
from winninghand.images import Split
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
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
        table = evaluate_watched(f"measuring {name}", model.to(device), split, **settings.model_dump())
    model.cpu()
    return table


def kept_table(path: Path, metadata: Mapping[str, Any]) -> RobustnessTable | None:
    """Return the table that lies at `path`, None where there is none or it was saved with other metadata."""
    if not path.exists():
        return None
    table, known = load_table(path)
    return table if known == metadata else None


def fastest_precision(device: torch.device) -> Precision:
    """Return the precision in which `device` plays networks fastest."""
    return "bf16-mixed" if bf16_pays(device) else "32-true"


def content(player: Card | Deck) -> bytes:
    """Return the file that a model is saved as."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        player.save(path)
        return path.read_bytes()


@dataclass(frozen=True)
class Measurements:
    """What a publication measures of its models on test images, kept in a folder so that it is made once.

    `settings` are those of the study; `reference` is how many images figures to be given again are
    measured on.
    """

    settings: Measuring
    reference_images: int
    split: Split
    folder: Path

    def sampled(self, name: str, player: Card | Deck) -> RobustnessTable:
        """Measure a model as the study measured its runs."""
        return self._once(name, player, self.settings.limit, best_device())

    def full(self, name: str, player: Card | Deck) -> RobustnessTable:
        """Measure a model on all test images, on the device at hand and as fast as that can."""
        device = best_device()
        return self._once(name, player, None, device, fastest_precision(device))

    def reference(self, name: str, player: Card | Deck) -> RobustnessTable:
        """Measure a model as anyone can measure it again: on a sample, on the CPU."""
        return self._once(name, player, self.reference_images, torch.device("cpu"))

    def _once(
        self,
        name: str,
        player: Card | Deck,
        limit: int | None,
        device: torch.device,
        precision: Precision = "32-true",
    ) -> RobustnessTable:
        settings = self.settings.model_copy(update={"limit": limit})
        path = self.folder / f"{name}-{limit or 'all'}-{device.type}-{precision}.npz"
        fingerprint = hashlib.blake2b(content(player), digest_size=8).hexdigest()
        metadata = {**settings.model_dump(mode="json"), "model": fingerprint, "precision": precision}
        table = kept_table(path, metadata)
        if table is None:
            table = measure(player, self.split, settings, device, name, precision)
            save_table(table, path, **metadata)
        return table

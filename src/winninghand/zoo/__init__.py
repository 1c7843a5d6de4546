"""Trained cards and decks that come with the library, each with its figures in a JSON file beside it."""

from __future__ import annotations

from pathlib import Path

from winninghand.base.registry import Registry

PREFIX = "zoo:"
MODELS = Path(__file__).parent / "models"

ZOO: Registry[Path] = Registry("zoo model", "zoo", instance_of="pathlib:Path")
for _path in sorted(MODELS.glob("*.card")) + sorted(MODELS.glob("*.deck")):
    ZOO.register(_path.stem)(_path)

"""The `[compression]` table of a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from winninghand.compression.budget import Scope
from winninghand.compression.method import METHODS


class Compression(BaseModel):
    """What is removed from a network, and by which method."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    method: str = "lrr"
    sparsity: float = Field(default=0.9, ge=0, lt=1, description="fraction of the prunable weights removed")
    scope: Scope = "global"
    fraction_per_round: float = Field(default=0.2, gt=0, lt=1, description="of the weights that remain")

    @field_validator("method")
    @classmethod
    def _known(cls, name: str) -> str:
        METHODS[name]
        return name

"""The `[compression]` table of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from winninghand.base.errors import InputError
from winninghand.compression.budget import Budget, Scope
from winninghand.compression.drawing import Init
from winninghand.compression.method import METHODS
from winninghand.compression.pattern import Pattern
from winninghand.compression.rounds import round_sparsities
from winninghand.compression.shares import Distribution


class Compression(BaseModel):
    """What is removed from a network, and by which method; keys of other methods are not looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    method: str = "lrr"
    sparsity: float = Field(default=0.9, ge=0, lt=1, description="fraction of the prunable weights removed")
    scope: Scope = "global"
    distribution: Distribution = Field(default="uniform", description="of densities over layers, layerwise")
    budget: Literal["weights", "macs"] = Field(
        default="weights", description="what sparsity is a fraction of"
    )
    pattern: str = Field(default="none", description='"none" or N:M, such as "2:4"')
    fraction_per_round: float = Field(
        default=0.2, gt=0, lt=1, description="lth, lrr: of the weights that remain"
    )
    pass_through: tuple[float, ...] = Field(
        default=(),
        strict=False,
        description="lth, lrr: sparsities of rounds on the way, in place of a fraction",
    )
    last_epochs: int | None = Field(
        default=None, ge=1, description="lth, lrr: of the last round; None: as the other phases"
    )
    round_rate: float = Field(
        default=1.0, gt=0, description="lrr: fraction of the learning rate that a round goes back to"
    )
    rewind_epoch: float = Field(default=0.0, ge=0, description="lth: to its weights; fractions are steps")
    fine_tune_epochs: int | None = Field(default=None, ge=1, description="ft: after pruning; None: as before")
    fine_tune_rate: float = Field(
        default=0.01, gt=0, description="ft: fraction of the learning rate, constant"
    )
    prune_from: float = Field(default=0.2, ge=0, lt=1, description="gmp: fraction of the phase")
    prune_until: float = Field(default=0.8, gt=0, le=1, description="gmp: fraction of the phase")
    refresh_steps: int = Field(default=10, ge=1, description="gmp: steps between two prunings")
    ramp_epochs: float = Field(default=10.0, ge=0, description="ep, bp: at most half of the epochs count")
    init: Init = Field(default="kaiming_normal", description="ep, bp: how weights are redrawn")
    train_norm: bool = Field(default=False, description="ep, bp: train norms and biases too")

    @field_validator("method")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in METHODS:
            METHODS[name]
        return name

    @field_validator("pass_through")
    @classmethod
    def _rising(cls, sparsities: tuple[float, ...]) -> tuple[float, ...]:
        if any(not low < high for low, high in pairwise((0.0, *sparsities, 1.0))):
            raise InputError(f"pass_through must rise between 0 and 1, not {list(sparsities)}")
        return sparsities

    @model_validator(mode="before")
    @classmethod
    def _sparsity_of_pattern(cls, table: Any) -> Any:  # noqa: ANN401 (checked afterwards)
        """A pattern brings its sparsity along."""
        if isinstance(table, dict) and "sparsity" not in table and isinstance(table.get("pattern"), str):
            pattern = Pattern.parse(table["pattern"])
            return table if pattern is None else {**table, "sparsity": pattern.sparsity}
        return table

    @model_validator(mode="after")
    def _agree(self) -> Compression:
        pattern = Pattern.parse(self.pattern)
        if self.distribution == "erk" and self.scope == "global":
            raise InputError('distribution "erk" shares out a layerwise budget; set scope = "layerwise"')
        if self.budget == "macs" and self.scope == "layerwise":
            raise InputError('budget "macs" is spent over the whole network; set scope = "global"')
        if self.budget == "macs" and pattern is not None:
            raise InputError('a pattern fixes every layer\'s share; set budget = "weights"')
        if pattern is not None and abs(self.sparsity - pattern.sparsity) > 1e-9:
            raise InputError(
                f"pattern {self.pattern} has sparsity {pattern.sparsity:g}, not {self.sparsity:g}; "
                "ask for that, or for no pattern"
            )
        if self.prune_from >= self.prune_until:
            raise InputError("prune_from must be below prune_until")
        return self

    def rounds(self, present: float) -> tuple[float, ...]:
        """Return the sparsity after each round of `lth` or `lrr`, from a `present` one to the target."""
        if not self.pass_through:
            return round_sparsities(self.sparsity, self.fraction_per_round, present)
        on_the_way = [sparsity for sparsity in self.pass_through if present < sparsity < self.sparsity]
        return (*on_the_way, self.sparsity) if self.sparsity > present else ()

    def budget_with(self, costs: Mapping[str, int] | None = None) -> Budget:
        """Return the budget, with the multiply-accumulates per weight by layer where it is one of `macs`."""
        return Budget(self.scope, self.distribution, Pattern.parse(self.pattern), costs)

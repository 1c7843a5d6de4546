"""What a compression method is: settings, a plan of phases, and masks that carry it out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from torch import nn

from winninghand.base import catalog
from winninghand.base.deprecation import with_new_keys
from winninghand.base.errors import InputError
from winninghand.base.registry import Registry, nearest
from winninghand.compression.budget import DISTRIBUTIONS, Budget, Pattern, Scope
from winninghand.compression.masks import MagnitudeMasks, Masks
from winninghand.compression.schedules import Phase

DEFAULT = "lrr"
_RENAMED = {
    "pass_through": "milestones",
    "round_rate": "rewind_lr_factor",
    "refresh_steps": "update_every",
}


@dataclass(frozen=True)
class Start:
    """What a method finds: whether the network's weights are worth keeping, and their sparsity."""

    trained: bool = False
    sparsity: float = 0.0


class Method(BaseModel, ABC):
    """A way to compress, with its settings: how it becomes phases, and what its masks go by.

    The keys below are those that all methods share; a method adds its own as further fields.
    `Method.model_validate` of a recipe's `[compression]` table returns an instance of the method that
    the table names. Keys of other methods are checked and left out, so that one table serves a
    study of several methods.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: ClassVar[str]

    sparsity: float = Field(default=0.9, ge=0, lt=1, description="fraction of the prunable weights removed")
    scope: Scope = "global"
    distribution: Literal["uniform", "erk"] = Field(
        default="uniform", description="of densities over layers, layerwise"
    )
    budget: Literal["weights", "macs"] = Field(
        default="weights", description="what sparsity is a fraction of"
    )
    pattern: str = Field(default="none", description='"none" or N:M, such as "2:4"')

    @property
    def method(self) -> str:
        """The name under which the method is registered."""
        return self.name

    @abstractmethod
    def plan(self, epochs: int, start: Start = Start()) -> tuple[Phase, ...]:
        """Return the phases, of `epochs` epochs each.

        A trained network need not be trained once before anything is pruned. Raises `InputError`
        where settings and epochs contradict each other.
        """

    def masks(
        self, network: nn.Module, weights: dict[str, nn.Parameter], budget: Budget, start: Start, seed: int
    ) -> Masks:
        """Return the masks of `weights`, prunable weights of the network by name: here, by magnitude."""
        masks = MagnitudeMasks(weights, budget)
        if start.sparsity > 0:
            masks.keep_zeros()
        return masks

    def respects_zeros(self) -> bool:
        """Say whether weights that a trained network arrives without count as pruned."""
        return True

    def budget_with(self, costs: Mapping[str, int] | None = None) -> Budget:
        """Return the budget, with the multiply-accumulates per weight by layer where it is one of `macs`."""
        return Budget(self.scope, DISTRIBUTIONS[self.distribution], Pattern.parse(self.pattern), costs)

    @model_validator(mode="wrap")
    @classmethod
    def _of_the_method_named(cls, table: Any, handler: ModelWrapValidatorHandler[Method]) -> Method:  # noqa: ANN401
        if not isinstance(table, Mapping):
            return handler(table)
        table = _with_its_sparsity(with_new_keys(table, _RENAMED, "compression"))
        if cls is not Method:
            return handler(table)
        kind = METHODS[table.get("method", DEFAULT)]
        foreign = {key: value for key, value in table.items() if key not in {*kind.model_fields, "method"}}
        if foreign:
            _check_keys_of_other_methods(foreign, kind)
        return kind.model_validate({key: value for key, value in table.items() if key in kind.model_fields})

    @model_validator(mode="after")
    def _agree(self) -> Method:
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
        return self

    @model_serializer(mode="wrap")
    def _with_its_name(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"method": self.name, **handler(self)}


METHODS: Registry[type[Method]] = catalog.METHODS


def _with_its_sparsity(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table with the sparsity that a pattern brings along, where none is given."""
    if "sparsity" not in table and isinstance(table.get("pattern"), str):
        pattern = Pattern.parse(table["pattern"])
        return {**table, **({} if pattern is None else {"sparsity": pattern.sparsity})}
    return dict(table)


def _check_keys_of_other_methods(table: dict[str, Any], chosen: type[Method]) -> None:
    """Check the values of keys that other methods have; raise `InputError` for a key that none has."""
    others = METHODS.usable().values()
    for key in table:
        if not any(key in other.model_fields for other in others):
            raise InputError(f"unknown key {key!r}; {nearest(key, ['method', *chosen.model_fields])}")
    for other in others:
        other.model_validate({key: value for key, value in table.items() if key in other.model_fields})

"""What a compression method is: settings, a plan, masks; and how it meets a network; long, for all checks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from torch import nn

from winninghand.base import catalog
from winninghand.base.deprecation import renamed, with_new_keys
from winninghand.base.errors import InputError, first_error
from winninghand.base.registry import Registry, nearest
from winninghand.compression.budget import DISTRIBUTIONS, Budget, Scope
from winninghand.compression.masks import MagnitudeMasks, Masks
from winninghand.compression.patterns import Blocks, Pattern, parse_pattern
from winninghand.compression.prunable import find_head, prunable_weights, weight_costs
from winninghand.compression.schedules import Phase
from winninghand.networks.entering import check_tensor, check_values

DEFAULT = "lrr"
Cost = Annotated[int, Field(ge=1, le=10**8)]
SMALL_HEAD = 0.05
"""Up to this fraction of the prunable weights a trained network's head is not pruned by default."""
RENAMED = {
    "pass_through": "milestones",
    "round_rate": "rewind_lr_factor",
    "refresh_steps": "update_every",
}


@dataclass(frozen=True)
class Start:
    """What a method finds: whether the network's weights are worth keeping, and their sparsity.

    One that is `trained` has learned these images. One that has `learned` anything has weights that tell
    something, such as those of another task.
    """

    trained: bool = False
    sparsity: float = 0.0
    learned: bool = False


class Method(BaseModel, ABC):
    """A way to compress, with its settings: how it becomes phases, and what its masks go by.

    The keys below are those that all methods share; a method adds its own as further fields.
    `Method.model_validate` of a recipe's `[compression]` table returns an instance of the method that
    the table names. Keys of other methods are checked and left out, so that one table serves a
    study of several methods.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    name: ClassVar[str]
    last_phase_key: ClassVar[str | None] = None
    """The setting that says how long the last phase is, None for a method that has none."""
    shares_at_start: ClassVar[bool] = False
    """Whether densities over layers are those that a training begins with, and may change under any scope."""

    sparsity: float = Field(default=0.9, ge=0, lt=1, description="fraction of the prunable weights removed")
    scope: Scope = "global"
    distribution: Literal["uniform", "erk"] = Field(
        default="uniform", description="of densities over layers, layerwise"
    )
    budget: Literal["weights", "macs", "engine"] = Field(
        default="weights", description="what sparsity is a fraction of"
    )
    costs: dict[str, Cost] | None = Field(
        default=None,
        description='picoseconds per weight by layer, for budget "engine"; None: measured on this machine',
    )
    pattern: str = Field(default="none", description='"none", "block4" or N:M, such as "2:4"')
    layer_floor: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="global scope: of its uniform share each layer keeps at least this fraction",
    )
    prune_head: bool | None = Field(
        default=None, description="None: unless the network is trained and few of its weights are the head's"
    )
    allow_empty: bool = Field(default=False, description="train on where a layer has no weight left")

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

    def ignored(self) -> frozenset[str]:
        """Return the settings that change nothing beside the others, as tables should not show them."""
        floor = {"layer_floor"} if self.scope == "layerwise" else set()
        return frozenset(floor | (set() if self.budget == "engine" else {"costs"}))

    def budget_with(self, costs: Mapping[str, int] | None = None) -> Budget:
        """Return the budget, with what a weight costs by layer where it is not one of weights."""
        return Budget(self.scope, DISTRIBUTIONS[self.distribution], self._pattern(), costs, self.layer_floor)

    @property
    def measures_costs(self) -> bool:
        """Whether the budget goes by what weights cost the engine, and no table says that."""
        return self.budget == "engine" and self.costs is None

    def _pattern(self) -> Pattern | Blocks | None:
        return None if self.pattern == "none" else parse_pattern(self.pattern)

    @model_validator(mode="wrap")
    @classmethod
    def _of_the_method_named(cls, table: Any, handler: ModelWrapValidatorHandler[Method]) -> Method:  # noqa: ANN401
        if not isinstance(table, Mapping):
            return handler(table)
        table = _with_its_sparsity(with_new_keys(table, RENAMED, "compression"))
        if cls is not Method:
            return handler(table)
        kind = METHODS[table.get("method", DEFAULT)]
        foreign = {key: value for key, value in table.items() if key not in {*kind.model_fields, "method"}}
        if foreign:
            _check_keys_of_other_methods(foreign, kind)
        return kind.model_validate({key: value for key, value in table.items() if key in kind.model_fields})

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the setting is)
            if name in RENAMED:
                renamed(f"compression.{name}", f"compression.{RENAMED[name]}")
                return getattr(self, RENAMED[name])
            return super().__getattr__(name)

    @model_validator(mode="after")
    def _agree(self) -> Method:
        pattern = self._pattern()
        if self.distribution == "erk" and self.scope == "global" and not self.shares_at_start:
            raise InputError('distribution "erk" shares out a layerwise budget; set scope = "layerwise"')
        if self.budget != "weights" and self.scope == "layerwise":
            raise InputError(f'budget "{self.budget}" is spent over the whole network; set scope = "global"')
        if self.budget != "weights" and isinstance(pattern, Pattern):
            raise InputError('a pattern N:M fixes every layer\'s share; set budget = "weights"')
        if isinstance(pattern, Pattern) and abs(self.sparsity - pattern.sparsity) > 1e-9:
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
        pattern = parse_pattern(table["pattern"])
        return {**table, **({"sparsity": pattern.sparsity} if isinstance(pattern, Pattern) else {})}
    return dict(table)


def _check_keys_of_other_methods(table: dict[str, Any], chosen: type[Method]) -> None:
    """Check the values of keys that other methods have; raise `InputError` for a key that none has."""
    others = METHODS.usable().values()
    for key in table:
        if not any(key in other.model_fields for other in others):
            raise InputError(f"unknown key {key!r}; {nearest(key, ['method', *chosen.model_fields])}")
    for other in others:
        other.model_validate({key: value for key, value in table.items() if key in other.model_fields})


def method_of(method: str | Method, settings: Mapping[str, Any]) -> Method:
    """Return the method of a name and settings, or one that brings its settings along."""
    if isinstance(method, Method):
        if settings:
            raise InputError(
                f"{next(iter(settings))!r} is a setting of the method; give it to {method.name!r}"
            )
        return method
    try:
        return Method.model_validate({**settings, "method": method})
    except ValidationError as error:
        raise InputError(first_error(error)) from None


class Compressor:
    """A method and a network, checked before anything runs: its prunable weights, phases and masks.

    `trained` says that the network arrives with weights worth keeping: its zeros then count as
    pruned. `exclude` names modules and weights that are left alone; `size` is the images' (H, W),
    needed for a budget in multiply-accumulates; `costs`, what a weight costs by layer, for one of `engine`
    whose method has none. `classes` is how many outputs the head has. Of a network that
    is `fine_tuned`, from weights learned on these or other images, a head of few weights is left alone, too,
    unless the method says that it is pruned.
    """

    def __init__(
        self,
        network: nn.Module,
        method: Method,
        trained: bool = False,
        exclude: Collection[str] = (),
        size: tuple[int, int] | None = None,
        classes: int | None = None,
        fine_tuned: bool = False,
        costs: Mapping[str, int] | None = None,
    ) -> None:
        self.network = network
        self.method = method
        self.costs = method.costs if method.costs is not None else costs
        self.weights = prunable_weights(network, exclude)
        if method.prune_head is False or (method.prune_head is None and fine_tuned):
            self._leave_head(classes, always=method.prune_head is False)
        for name, weight in self.weights.items():
            check_tensor(name, weight)
        check_values(self.weights)
        self.size = size
        self.start = Start(trained, self._zeros() if trained else 0.0, learned=trained or fine_tuned)

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        """Return the phases, of `epochs` epochs each; `InputError` where the network cannot take them."""
        phases = self.method.plan(epochs, self.start)
        counted = self.start.sparsity > 0
        allowed = {
            name: ~self._budget.pruned(weight) if counted else torch.ones_like(weight, dtype=torch.bool)
            for name, weight in self.weights.items()
        }
        zeros = self.method.respects_zeros()
        self._budget.check(allowed, self.method.sparsity if zeros else phases[-1].sparsity)
        return phases

    def masks(self, seed: int) -> Masks:
        """Return the masks; with a method that draws weights or scores, drawn from the seed."""
        masks = self.method.masks(self.network, self.weights, self._budget, self.start, seed)
        masks.input_size = self.size
        return masks

    def _leave_head(self, classes: int | None, always: bool) -> None:
        """Take the head out of what is pruned: `always`, or where the classes are known and it is small."""
        head = find_head(self.weights, classes)
        total = sum(weight.numel() for weight in self.weights.values())
        if head is None and always:
            raise InputError(
                "the network's head was not found among its prunable weights; exclude it by name"
            )
        if head is None or (not always and head.numel() > SMALL_HEAD * total):
            return
        self.weights = {name: weight for name, weight in self.weights.items() if weight is not head}
        if not self.weights:
            raise InputError("the network has no prunable weights but the head's; set prune_head = true")

    @cached_property
    def _budget(self) -> Budget:
        costs = None
        if self.method.budget == "macs":
            if self.size is None:
                raise InputError('budget "macs" depends on the size of the images; give input_size = (H, W)')
            costs = weight_costs(self.network, self.weights, self.size)
        elif self.method.budget == "engine":
            costs = self._own_costs()
        return self.method.budget_with(costs)

    def _own_costs(self) -> dict[str, int]:
        """Return what a weight of each layer costs; `InputError` where a table is missing or does not fit."""
        if self.costs is None:
            raise InputError(
                'budget "engine" needs to know what weights cost; give costs = {…}, as '
                "winninghand.engine.costs.measure_costs returns them"
            )
        known = {name for name, _ in self.network.named_parameters()}
        for name in self.costs:
            if name not in known:
                raise InputError(
                    f"costs has a layer {name!r}, which the network has not; {nearest(name, self.weights)}"
                )
        for name in self.weights:
            if name not in self.costs:
                raise InputError(f"costs lacks the layer {name!r}; add it, or exclude the layer")
        return {name: self.costs[name] for name in self.weights}

    @property
    def empty(self) -> tuple[str, ...]:
        """The layers that a trained network arrives without: all their weights are zero, and stay so."""
        if not self.start.sparsity:
            return ()
        return tuple(name for name, weight in self.weights.items() if not bool(weight.any()))

    def _zeros(self) -> float:
        """Return the fraction of the prunable weights that is zero and stays so."""
        if not self.method.respects_zeros():
            return 0.0
        total = sum(weight.numel() for weight in self.weights.values())
        return sum(int(self._budget.pruned(weight).sum()) for weight in self.weights.values()) / total

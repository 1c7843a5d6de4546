"""`wh.Pruner`: compression in a training loop of one's own."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from winninghand.base.deprecation import renamed
from winninghand.base.errors import InputError, checked_whole, first_error
from winninghand.compression.budget import Scope
from winninghand.compression.method import Compressor, Method
from winninghand.compression.schedules import MOST_EPOCHS, Phase
from winninghand.networks.entering import bake_masks, unwrapped


class Pruner:
    """Prunes a module while the caller trains it.

    ```python
    pruner = wh.Pruner(module, method="gmp", sparsity=0.9, steps=10_000)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    ...
        optimizer.step()
        pruner.step()
    pruner.finish()
    ```

    `steps` counts the optimizer steps of the whole training; methods with several phases divide
    them in proportion to their epochs, and `phase` counts up where a new one begins: there the
    caller restarts the learning rate's schedule (lth, lrr). After the last step, or `finish`, the module
    holds ordinary weights of the target sparsity, and every further `step` keeps pruned weights
    at zero. Under `ep` and `bp` the module's parameters hold scores until then, and the weights,
    which are drawn anew, do not move.

    A module that is `trained` has weights worth keeping: its zeros count as pruned, and only `lth`
    trains before it prunes. `module` may be wrapped (DistributedDataParallel, DataParallel,
    `torch.compile`), now or later. Masks of `torch.nn.utils.prune` become zeros in its weights; other
    parametrizations must be removed first, or excluded. `exclude` names modules and weights of it to
    leave alone. `epochs` is the length of a phase for settings that are counted in epochs, such as
    `ramp_epochs`; further keyword arguments are keys of a recipe's `[compression]`. A `Method` in place
    of a name brings all settings along. `input_size` (H, W) is needed for a budget in
    multiply-accumulates.

    Raises `InputError` for a module without prunable weights, for weights that are not finite, not dense
    or computed from others, and for settings that it cannot
    follow, and from all methods once a pruned weight has been replaced by another tensor.
    """

    def __init__(
        self,
        module: nn.Module,
        method: str | Method = "gmp",
        sparsity: float | None = None,
        steps: int = 10_000,
        *,
        trained: bool = False,
        scope: Scope | None = None,
        exclude: Collection[str] = (),
        epochs: int = 30,
        seed: int = 0,
        input_size: tuple[int, int] | None = None,
        **compression: Any,  # noqa: ANN401 (checked as settings)
    ) -> None:
        checked_whole("steps", steps, 1)
        checked_whole("epochs", epochs, 1, MOST_EPOCHS)
        checked_whole("seed", seed)
        given = {**compression, "sparsity": sparsity, "scope": scope}
        self.method = _method(method, {key: value for key, value in given.items() if value is not None})
        if not isinstance(module, nn.Module):
            raise InputError(f"a pruner takes a torch.nn.Module, not {type(module).__name__}")
        self.module = unwrapped(module)
        bake_masks(self.module)
        self.phase = 0
        compressor = Compressor(self.module, self.method, trained, exclude, input_size)
        compressor.phases(epochs)
        self._start, self._epochs = compressor.start, epochs
        self._phases, self._ends = self._planned(steps)
        self._step = 0
        self._remembered: dict[str, Any] = {}
        self._masks = compressor.masks(seed)
        self._begin()
        self._links = _links(self.module, self._masks.weights)

    def __repr__(self) -> str:
        sparsity = self._masks.sparsity
        return f"Pruner({self.method.name}, step {self._step} of {self._ends[-1]}, sparsity {sparsity:.2%})"

    @property
    def sparsity(self) -> float:
        """The present fraction of the prunable weights that is pruned."""
        self._check()
        return self._masks.sparsity

    @property
    def masks(self) -> dict[str, Tensor]:
        """For each prunable weight, by its name in the module, a bool mask: true where it is kept."""
        self._check()
        return self._masks.as_dict()

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self._step >= self._ends[-1]

    def step(self, skipped: bool = False) -> None:
        """Call after every optimizer step, or with `skipped` where a `GradScaler` left the step out.

        With gradient accumulation, call it once per optimizer step, not per batch.
        """
        if skipped:
            return
        self._check()
        if self.finished:
            self._masks.apply()
            return
        self._masks.after_step()
        self._step += 1
        self._remember()
        if self.finished:
            self._end()
        elif self._step == self._ends[self.phase]:
            self.phase += 1
            self._begin()

    def after_step(self) -> None:
        """Do what `step` does; the old name."""
        renamed("Pruner.after_step", "Pruner.step")
        self.step()

    def end_epoch(self) -> dict[str, float | int]:
        """Return the present `sparsity` and the number of `emptied_layers`, of which it warns."""
        self._check()
        return self._masks.end_epoch()

    def finish(self) -> None:
        """Prune to the target and leave ordinary weights, wherever the training is; more calls do nothing."""
        if not self.finished:
            self._check()
            self.phase, self._step = len(self._phases) - 1, self._ends[-1]
            self._masks.prune_to(self._phases[-1].sparsity)
            self._end()

    def apply_to(self, other: nn.Module) -> None:
        """Prune a copy of the module, such as `torch.optim.swa_utils.AveragedModel`, by the present masks.

        The copy may be wrapped. Under `ep` and `bp` it gets the masked weights under the module's own
        names; its norms and biases stay its own.
        """
        self._check()
        self._masks.apply_to(unwrapped(other))

    def state_dict(self) -> dict[str, Any]:
        """Return all that the module's own `state_dict` does not hold; numbers, strings and tensors."""
        return {
            "method": self.method.model_dump(mode="json"),
            "steps": self._ends[-1],
            "present": self._start.sparsity,
            "step": self._step,
            "masks": self._masks.state_dict(),
            "remembered": self._remembered,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, in a pruner made alike; then load the module's state.

        In this order, since `ep` and `bp` give a module other names until they are finished. Raises
        `InputError` where method, settings or steps differ.
        """
        for key, own in (("method", self.method.model_dump(mode="json")), ("steps", self._ends[-1])):
            if state[key] != own:
                raise InputError(f"the pruner's state is of other {key}: {state[key]}, not {own}")
        if self.finished and state["step"] < state["steps"]:
            raise InputError("this pruner has finished; load the state of an earlier step into a new one")
        # A module made anew need not have the zeros that the first one began with.
        self._start = replace(self._start, sparsity=state["present"])
        self._phases, self._ends = self._planned(state["steps"])
        self._step, self._remembered = state["step"], dict(state["remembered"])
        self.phase = next((i for i, end in enumerate(self._ends) if self._step < end), len(self._ends) - 1)
        length = self._ends[self.phase] - self._first
        self._masks.begin(self._phases[self.phase], length, self._step - self._first, resumed=True)
        self._masks.load_state_dict(state["masks"])
        if self.finished:
            self._end()

    def _planned(self, steps: int) -> tuple[tuple[Phase, ...], list[int]]:
        """Return the phases, and the step after which each of them ends."""
        phases = self.method.plan(self._epochs, self._start)
        if steps < len(phases):
            raise InputError(f"{self.method.name} has {len(phases)} phases here; {steps} steps are too few")
        lengths = [phase.epochs - phase.begin for phase in phases]
        return phases, [round(steps * sum(lengths[: i + 1]) / sum(lengths)) for i in range(len(lengths))]

    def _begin(self) -> None:
        phase = self._phases[self.phase]
        self._masks.begin(phase, self._ends[self.phase] - self._first)
        if phase.rewound:
            self.module.load_state_dict(self._remembered)
            self._masks.apply()
        self._remember()

    def _end(self) -> None:
        self._masks.finish()
        self._links = _links(self.module, self._masks.weights)

    @property
    def _first(self) -> int:
        return self._ends[self.phase - 1] if self.phase else 0

    def _remember(self) -> None:
        phase = self._phases[self.phase]
        if phase.remember is not None:
            length = self._ends[self.phase] - self._first
            if self._step - self._first == int(phase.remember / phase.epochs * length):
                state = self.module.state_dict()
                self._remembered = {
                    name: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
                    for name, value in state.items()
                }

    def _check(self) -> None:
        """Raise `InputError` where the module no longer holds a tensor that is being pruned."""
        for table, key, value in self._links:
            if table.get(key) is not value:
                raise InputError(
                    f"the module's {key!r} was replaced after the pruner was made (a new layer, or "
                    "load_state_dict(assign=True)); make the pruner after that, and load without assign"
                )


Link = tuple[Mapping[str, Any], str, object]


def _links(module: nn.Module, weights: Mapping[str, nn.Parameter]) -> list[Link]:
    """Return where the weights hang: each table of a module's parts or parameters on the way to one."""
    watched = {id(weight) for weight in weights.values()}

    def below(part: nn.Module) -> Iterator[Link]:
        for name, parameter in part._parameters.items():
            if id(parameter) in watched:
                yield part._parameters, name, parameter
        for name, child in part._modules.items():
            if child is not None and (found := list(below(child))):
                yield part._modules, name, child
                yield from found

    return list(below(module))


def _method(method: str | Method, settings: dict[str, Any]) -> Method:
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

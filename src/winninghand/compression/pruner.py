"""`wh.Pruner`: compression in a training loop of one's own."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from winninghand.base.deprecation import renamed
from winninghand.base.errors import InputError, checked_whole, counted
from winninghand.compression.agreement import check_agreement
from winninghand.compression.budget import Scope
from winninghand.compression.masks import EXAMPLES_AT_ONCE, Batch
from winninghand.compression.method import Compressor, Method, Start, method_of
from winninghand.compression.prunable import links_to
from winninghand.compression.schedules import MOST_EPOCHS, Phase
from winninghand.compression.states import check_alike, check_no_others, checked_mapping
from winninghand.networks.entering import bake_masks, check_whole, unwrapped

_ALIVE: WeakSet[Pruner] = WeakSet()


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
    multiply-accumulates, and by `synflow`; `costs` for a budget of the engine
    (`winninghand.engine.costs.measure_costs`). `examples`, images and labels of a few of each class as the
    module sees them, floats (N, …) and int64 (N,), are needed by `snip` and `grasp`.

    Raises `InputError` for a module without prunable weights, for weights that are not finite, not dense,
    computed from others or pruned by a pruner that has not finished, and for settings that it cannot
    follow; from all methods once a pruned weight has been replaced by another tensor; and from the
    first step where the processes of a distributed training, which all call it, would not prune the same.
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
        examples: tuple[Tensor, Tensor] | None = None,
        **compression: Any,  # noqa: ANN401 (checked as settings)
    ) -> None:
        checked_whole("steps", steps, 1)
        checked_whole("epochs", epochs, 1, MOST_EPOCHS)
        checked_whole("seed", seed)
        given = {**compression, "sparsity": sparsity, "scope": scope}
        self.method = method_of(method, {key: value for key, value in given.items() if value is not None})
        if not isinstance(module, nn.Module):
            raise InputError(f"a pruner takes a torch.nn.Module, not {type(module).__name__}")
        check_whole(module)
        self.module = unwrapped(module)
        bake_masks(self.module)
        self.phase = 0
        compressor = Compressor(self.module, self.method, trained, exclude, input_size)
        _check_not_pruned(compressor.weights)
        compressor.phases(epochs)
        self._start, self._epochs = compressor.start, epochs
        self._phases, self._ends = self._planned(steps, self._start)
        self._step, self._agreed = 0, False
        self._remembered: dict[str, Any] = {}
        self._masks = compressor.masks(seed)
        if examples is not None:
            batches = _batches(examples)
            self._masks.examples = lambda _: batches
        self._begin()
        self._links = links_to(self.module, self._masks.weights)
        _ALIVE.add(self)

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

    def step(self, skipped: bool = False, optimizer: Optimizer | Sequence[Optimizer] | None = None) -> None:
        """Call after every optimizer step, or with `skipped` where a `GradScaler` left the step out.

        With gradient accumulation, call it once per optimizer step, not per batch. Under `set` and `rigl`
        give the `optimizer`, or all of them: its momentum of weights that grow is set to 0. `rigl` also needs
        the gradients of the step: call `zero_grad()` later.
        """
        if optimizer is not None:
            optimizers = (optimizer,) if isinstance(optimizer, Optimizer) else tuple(optimizer)
            self._masks.optimizers = optimizers
        if skipped:
            return
        self._check()
        if self.finished:
            self._masks.apply()
            return
        if not self._agreed:
            self._agree()
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
        """Prune to the target and leave ordinary weights, wherever the training is.

        More calls set to zero again what is pruned; under `ep` and `bp` they set the weights back.
        """
        self._check()
        if self.finished:
            self._masks.apply()
        else:
            self.phase, self._step = len(self._phases) - 1, self._ends[-1]
            self._masks.prune_to(self._phases[-1].sparsity)
            self._end()

    def apply_to(self, other: nn.Module) -> None:
        """Prune a copy of the module, such as `torch.optim.swa_utils.AveragedModel`, by the present masks.

        The copy may be wrapped. Under `ep` and `bp` it gets the masked weights under the module's own
        names; its norms and biases stay its own. Raises `InputError`, and changes nothing, where it has not
        all pruned weights by their names and shapes.
        """
        self._check()
        if not isinstance(other, nn.Module):
            raise InputError(f"apply_to takes a copy of the module, not {type(other).__name__}")
        self._masks.apply_to(unwrapped(other))

    def state_dict(self) -> dict[str, Any]:
        """Return all that the module's own `state_dict` does not hold; numbers, strings and tensors."""
        return {
            "method": self.method.model_dump(mode="json"),
            "steps": self._ends[-1],
            "trained": self._start.trained,
            "epochs": self._epochs,
            "present": self._start.sparsity,
            "step": self._step,
            "masks": self._masks.state_dict(),
            "remembered": self._remembered,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, in a pruner made alike; then load the module's state.

        In this order, since `ep` and `bp` give a module other names until they are finished. Raises
        `InputError`, and changes nothing, where method, settings, steps or weights differ, and for what
        is no state of a pruner.
        """
        state = checked_mapping("the pruner's state", state)
        own = self.state_dict()
        missing = next((key for key in own if key not in state), None)
        if missing is not None:
            raise InputError(f"the pruner's state has no {missing!r}; pass what state_dict() returned")
        for key in ("method", "steps", "trained", "epochs"):
            if type(state[key]) is not type(own[key]) or state[key] != own[key]:
                raise InputError(f"the pruner's state is of other {key}: {state[key]}, not {own[key]}")
        step = checked_whole("step in the pruner's state", state["step"], 0, self._ends[-1])
        if self.finished and step < self._ends[-1]:
            raise InputError("this pruner has finished; load the state of an earlier step into a new one")
        # A module made anew need not have the zeros that the first one began with.
        start = replace(self._start, sparsity=_checked_present(state["present"], self._start))
        phases, ends = self._planned(self._ends[-1], start)
        index = next((i for i, end in enumerate(ends) if step < end), len(ends) - 1)
        first = ends[index - 1] if index else 0
        masks = checked_mapping("the masks of the pruner's state", state["masks"])
        sparsity = phases[index].sparsity_after(step - first, ends[index] - first)
        self._masks.check_state(masks, sparsity, finished=step == ends[-1])
        remembered = checked_mapping("what the pruner's state remembers", state["remembered"])
        moment = phases[0].remembered_after(ends[0])
        if remembered or (moment is not None and moment <= step < ends[-1]):
            present = self.module.state_dict()
            check_no_others("what the pruner's state remembers", remembered, present)
            tensors = {name: value for name, value in present.items() if isinstance(value, Tensor)}
            check_alike("what the pruner's state remembers", remembered, tensors)

        self._start, self._phases, self._ends = start, phases, ends
        self._step, self._agreed, self._remembered, self.phase = step, False, dict(remembered), index
        self._masks.begin(phases[index], ends[index] - first, step - first, resumed=True)
        self._masks.load_state_dict(cast(Mapping[str, Tensor], masks))
        if self.finished:
            self._end()

    def _planned(self, steps: int, start: Start) -> tuple[tuple[Phase, ...], list[int]]:
        """Return the phases, and the step after which each of them ends."""
        phases = self.method.plan(self._epochs, start)
        if steps < len(phases):
            raise InputError(
                f"{self.method.name} has {counted(len(phases), 'phase')} here; give at least as many steps"
            )
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
        self._links = links_to(self.module, self._masks.weights)

    @property
    def _first(self) -> int:
        return self._ends[self.phase - 1] if self.phase else 0

    def _remember(self) -> None:
        length = self._ends[self.phase] - self._first
        if self._step - self._first == self._phases[self.phase].remembered_after(length):
            state = self.module.state_dict()
            self._remembered = {
                name: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
                for name, value in state.items()
            }

    def _agree(self) -> None:
        """Raise `InputError` where the pruners of other processes go by other things than this one."""
        settings = {
            key: value for key, value in self.state_dict().items() if key not in ("masks", "remembered")
        }
        # Running statistics, which are remembered too, may differ: each process has images of its own.
        parameters = {name for name, _ in self.module.named_parameters()} & self._remembered.keys()
        remembered = {f"remembered.{name}": self._remembered[name] for name in sorted(parameters)}
        device = next(iter(self._masks.weights.values())).device
        check_agreement(settings, self._masks.unsynchronised() | remembered, device)
        self._agreed = True

    def _check(self) -> None:
        """Raise `InputError` where the module no longer holds a tensor that is being pruned."""
        for table, key, value in self._links:
            if table.get(key) is not value:
                raise InputError(
                    f"the module's {key!r} was replaced after the pruner was made (a new layer, or "
                    "load_state_dict(assign=True)); make the pruner after that, and load without assign"
                )


def _batches(examples: object) -> Sequence[Batch]:
    """Return examples in batches of one size, to within one image."""
    if not isinstance(examples, tuple | list) or len(examples) != 2:
        raise InputError("examples must be a pair (images, labels)")
    images, labels = examples
    if not (isinstance(images, Tensor) and isinstance(labels, Tensor)):
        raise InputError("examples must be two tensors: images (N, …) and labels (N,)")
    whole = labels.dtype == torch.int64 and labels.ndim == 1
    if not (images.is_floating_point() and whole and len(images) == len(labels) > 0):
        raise InputError(
            "examples must be images, floats (N, …), and their labels, int64 (N,), not "
            f"{images.dtype} {tuple(images.shape)} and {labels.dtype} {tuple(labels.shape)}"
        )
    number = math.ceil(len(labels) / EXAMPLES_AT_ONCE)
    return list(zip(images.tensor_split(number), labels.tensor_split(number), strict=True))


def _checked_present(sparsity: object, start: Start) -> float:
    """Return the sparsity that a module began with, as a state says it, where the start allows for it."""
    if not isinstance(sparsity, float) or not 0 <= sparsity < 1 or (sparsity > 0 and not start.trained):
        raise InputError(f"the pruner's state is of a module that began with a sparsity of {sparsity}")
    return sparsity


def _check_not_pruned(weights: Mapping[str, nn.Parameter]) -> None:
    """Raise `InputError` where a pruner that has not finished prunes one of the weights."""
    names = {id(weight): name for name, weight in weights.items()}
    for pruner in _ALIVE:
        shared = next((id(weight) for weight in pruner._masks.weights.values() if id(weight) in names), None)
        if shared is not None and not pruner.finished:
            raise InputError(
                f"{names[shared]!r} is pruned by {pruner!r}, which has not finished; call its finish(), "
                "delete it, or exclude the weight"
            )

"""`wh.Pruner`: compression in a training loop of one's own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from winninghand.base.errors import InputError, first_error
from winninghand.compression.budget import Scope
from winninghand.compression.compressor import Compressor
from winninghand.compression.settings import Compression


class Pruner:
    """Prunes a module while the caller trains it.

    ```python
    pruner = wh.Pruner(module, method="gmp", sparsity=0.9, steps=10_000)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    ...
        optimizer.step()
        pruner.after_step()
    pruner.end_epoch()
    ```

    Make the optimizer after the pruner: `ep` and `bp` train scores, which are parameters of the
    module until the last step. `steps` counts the optimizer steps of the whole training; methods
    with several phases divide them in proportion to their epochs, and `phase` counts up where a new
    one begins: there the caller restarts the learning rate's schedule (lth, lrr). After the last
    step, or `finish`, the module holds ordinary weights of the target sparsity, and every further
    `after_step` keeps pruned weights at zero.

    The module is taken as trained: its zeros count as pruned, and only `lth` trains before it prunes.
    `epochs` is the length of a phase for settings that are counted in epochs, such as
    `ramp_epochs`; further keyword arguments are keys of a recipe's `[compression]`. `input_size`
    (H, W) is needed for a budget in multiply-accumulates. Raises `InputError` for a module without
    prunable weights and for settings that it cannot follow.
    """

    def __init__(
        self,
        module: nn.Module,
        method: str = "gmp",
        sparsity: float = 0.9,
        steps: int = 10_000,
        *,
        scope: Scope = "global",
        exclude: Collection[str] = (),
        epochs: int = 30,
        seed: int = 0,
        input_size: tuple[int, int] | None = None,
        **compression: Any,  # noqa: ANN401 (checked as settings)
    ) -> None:
        settings = _settings({**compression, "method": method, "sparsity": sparsity, "scope": scope})
        compressor = Compressor(module, settings, trained=True, exclude=exclude, size=input_size)
        self.module = module
        self.phase = 0
        self._phases = compressor.phases(epochs)
        if steps < len(self._phases):
            raise InputError(f"{method} has {len(self._phases)} phases here; {steps} steps are too few")
        lengths = [phase.epochs - phase.begin for phase in self._phases]
        self._ends = [round(steps * sum(lengths[: i + 1]) / sum(lengths)) for i in range(len(lengths))]
        self._step = 0
        self._remembered: dict[str, Tensor] = {}
        self._masks = compressor.masks(seed)
        self._begin()

    @property
    def sparsity(self) -> float:
        """The present fraction of the prunable weights that is pruned."""
        return self._masks.sparsity

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self._step >= self._ends[-1]

    def after_step(self) -> None:
        """Call after every optimizer step."""
        self._masks.after_step()
        if self.finished:
            return
        self._step += 1
        self._remember()
        if self.finished:
            self._masks.finish()
        elif self._step == self._ends[self.phase]:
            self.phase += 1
            self._begin()

    def end_epoch(self) -> dict[str, float | int]:
        """Return the present `sparsity` and the number of `emptied_layers`, of which it warns."""
        return self._masks.end_epoch()

    def finish(self) -> None:
        """Prune to the target and leave ordinary weights, wherever the training is."""
        if not self.finished:
            self._step = self._ends[-1]
            self._masks.prune_to(self._phases[-1].sparsity)
            self._masks.finish()

    def _begin(self) -> None:
        phase = self._phases[self.phase]
        self._masks.begin(phase, self._ends[self.phase] - self._first)
        if phase.rewound:
            self.module.load_state_dict(self._remembered)
            self._masks.apply()
        self._remember()

    @property
    def _first(self) -> int:
        return self._ends[self.phase - 1] if self.phase else 0

    def _remember(self) -> None:
        phase = self._phases[self.phase]
        if phase.remember is not None:
            length = self._ends[self.phase] - self._first
            if self._step - self._first == int(phase.remember / phase.epochs * length):
                state = self.module.state_dict()
                self._remembered = {name: tensor.clone() for name, tensor in state.items()}


def _settings(table: dict[str, Any]) -> Compression:
    try:
        return Compression.model_validate(table)
    except ValidationError as error:
        raise InputError(first_error(error)) from None

"""Pruning while Lightning trains: `from winninghand.compression.lightning import PruningCallback`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from torch import nn

from winninghand.base.errors import InputError
from winninghand.base.extras import needed
from winninghand.compression.method import METHODS, Method
from winninghand.compression.methods import EdgePopup
from winninghand.compression.pruner import Pruner

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    # One library under two names: the callback is one of that which the caller uses.
    _NAMES = ("lightning.pytorch", "pytorch_lightning")
    _USED = [name for name in _NAMES if name in sys.modules] or ["lightning.pytorch"] * bool(
        find_spec("lightning")
    )
    Callback = needed((_USED or _NAMES[1:])[0], "lightning", "for the pruning callback").Callback

_AVERAGING = frozenset({"WeightAveraging", "StochasticWeightAveraging"})


class PruningCallback(Callback):
    """Prunes a `LightningModule` while a `Trainer` fits it, and goes on from its checkpoints.

    The arguments are those of `winninghand.Pruner`. `steps` are optimizer steps, by default as many as
    the trainer expects; give them where the training data are made in the module's own `setup`.
    Steps that mixed precision skips are not counted. At the end of every epoch `sparsity` and
    `emptied_layers` are logged, and at the end of the fit the module holds ordinary weights of
    the target sparsity. `pruner` is None before the first fit.

    Callbacks that average weights (`WeightAveraging`, `EMAWeightAveraging`, `StochasticWeightAveraging`) may
    stand beside it: what is pruned is set to zero in their averages, too, once the pruner has
    finished. Under `ep` and `bp` they must come after it in the trainer's list, else `InputError`.
    """

    def __init__(
        self,
        method: str | Method = "gmp",
        sparsity: float | None = None,
        steps: int | None = None,
        **settings: Any,  # noqa: ANN401 (checked by the pruner)
    ) -> None:
        self.pruner: Pruner | None = None
        self._arguments = {"method": method, "sparsity": sparsity, **settings}
        self._steps = steps
        self._taken = 0
        self._scale = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the pruner, before the module's state is restored and its optimizers are made."""
        if stage != "fit" or self.pruner is not None:
            return
        self._check_order(trainer)
        steps = self._steps or trainer.estimated_stepping_batches
        if not 0 < steps < float("inf"):
            raise InputError("the trainer's number of steps is not known; give steps to the pruning callback")
        self.pruner = Pruner(pl_module, steps=int(steps), **self._arguments)
        self._loading = pl_module.register_load_state_dict_pre_hook(  # type: ignore[no-untyped-call]
            self._before_loading
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count where the trainer does."""
        self._loading.remove()
        self._taken, self._scale = trainer.global_step, _loss_scale(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, _: object, number: int
    ) -> None:
        """Prune averages with which an epoch begins; `StochasticWeightAveraging` then measures norms anew."""
        if number == 0:
            self._prune_averages(trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, _: object, number: int, __: int = 0
    ) -> None:
        """Prune averages with which a validation begins."""
        if number == 0:
            self._prune_averages(trainer)

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Take a step of the pruner after the batches that ended in one of the optimizer."""
        if trainer.global_step > self._taken:
            scale = _loss_scale(trainer)
            # A scaler lowers its scale where it has found infinite gradients, and only there.
            self._active.step(skipped=scale < self._scale, optimizer=trainer.optimizers)
            self._taken, self._scale = trainer.global_step, scale

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log what there is to report."""
        pl_module.log_dict({name: float(value) for name, value in self._active.end_epoch().items()})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave ordinary weights of the target sparsity, however many steps there were."""
        if not trainer.interrupted:
            self._active.finish()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prune what other callbacks have put in place of the weights at the end of the training."""
        self._prune_averages(trainer)

    def on_save_checkpoint(self, trainer: Trainer, *_: object) -> None:
        """Prune averages before they go into a checkpoint."""
        self._prune_averages(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return the pruner's state for the checkpoint; the rest is in that of the module."""
        return {} if self.pruner is None else self.pruner.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a checkpoint of the same method, settings and steps."""
        if self.pruner is not None:
            self.pruner.load_state_dict(state_dict)

    @property
    def _active(self) -> Pruner:
        assert self.pruner is not None, "setup comes first"
        return self.pruner

    def _check_order(self, trainer: Trainer) -> None:
        method = self._arguments["method"]
        if not issubclass(type(method) if isinstance(method, Method) else METHODS[method], EdgePopup):
            return
        # Their averages are made before the parameters become scores, which stand in another order.
        for callback in _averaging(_callbacks(trainer)[: _callbacks(trainer).index(self)]):
            raise InputError(
                f"{type(callback).__name__} must come after the pruning callback in the trainer's callbacks, "
                "since ep and bp train scores in place of weights"
            )

    def _prune_averages(self, trainer: Trainer) -> None:
        """Prune the module, whatever stands in it, and all averages, once the pruner has finished."""
        if self.pruner is None or not self.pruner.finished:
            return
        self.pruner.finish()
        for callback in _averaging(_callbacks(trainer)):
            average = getattr(callback, "_average_model", None)
            if isinstance(average, nn.Module):
                self.pruner.apply_to(average)

    def _before_loading(self, module: nn.Module, state: Mapping[str, Any], *_: object) -> None:
        """Give the module the names of a finished one, where the state that comes is that of one."""
        scores = {name for name, _ in module.named_parameters() if name.endswith(".scores")}
        if scores and not scores & state.keys():
            self._active.finish()


def _callbacks(trainer: Trainer) -> list[Callback]:
    return trainer.callbacks  # type: ignore[attr-defined, no-any-return]


def _averaging(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return those of Lightning's callbacks that average weights; by name, since the library has two."""
    return [one for one in callbacks if any(kind.__name__ in _AVERAGING for kind in type(one).__mro__)]


def _loss_scale(trainer: Trainer) -> float:
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return 0.0 if scaler is None else float(scaler.get_scale())

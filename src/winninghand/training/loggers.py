"""Loggers by name, for `--log`, each one of Lightning's; and what tells them what a run is and measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from winninghand.base import catalog
from winninghand.base.extras import needed
from winninghand.base.registry import Registry
from winninghand.cards import Card
from winninghand.training.callbacks import Callback
from winninghand.training.run_folder import EpochMetrics
from winninghand.training.schedule import TrainingState

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightning_fabric.loggers.logger import Logger


def make_logger(name: str, folder: Path | str) -> Logger:
    """Return the logger of that name for the run in `folder`, for `wh.train(..., loggers=[...])`.

    `tensorboard` and `mlflow` write to `folder/logs`; `wandb` sends its log to wandb.ai, unless
    `WANDB_MODE=offline` is set. Raises `InputError` for an unknown name and a library that is
    missing, with the line that installs it.
    """
    make = LOGGERS[name]
    with LOGGERS.called(name):
        return make(Path(folder))


def tensorboard(folder: Path) -> Logger:
    """Return a logger for TensorBoard: `tensorboard --logdir FOLDER/logs` shows it."""
    needed("tensorboard", "log", "to log to TensorBoard")
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    return TensorBoardLogger(folder / "logs", name="", version="")


def wandb(folder: Path) -> Logger:
    """Return a logger for Weights & Biases, of the project `winninghand`; the run has the folder's name."""
    needed("wandb", "wandb", "to log to Weights & Biases")
    loggers = needed("pytorch_lightning.loggers", "wandb", "to log to Weights & Biases")
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    return cast(
        "Logger",
        loggers.WandbLogger(name=folder.name, project="winninghand", save_dir=folder / "logs"),
    )


def mlflow(folder: Path) -> Logger:
    """Return a logger for MLflow, of the experiment `winninghand`; the run has the folder's name.

    The environment variable `MLFLOW_TRACKING_URI` names a server to log to instead of the folder.
    """
    needed("mlflow", "mlflow", "to log to MLflow")
    loggers = needed("pytorch_lightning.loggers", "mlflow", "to log to MLflow")
    return cast(
        "Logger",
        loggers.MLFlowLogger("winninghand", run_name=folder.name, save_dir=str(folder / "logs")),
    )


LOGGERS: Registry[Callable[[Path], Logger]] = catalog.LOGGERS
"""Functions that return a logger of Lightning's interface, from a run's folder."""


class Loggers(Callback):
    """Hands what a run is and measures on to loggers of Lightning's interface."""

    def __init__(self, loggers: Sequence[Logger], settings: Mapping[str, Any]) -> None:
        self._loggers = loggers
        self._settings = dict(settings)

    def on_train_start(self, trainer: TrainingState) -> None:
        """Log the whole recipe as hyperparameters."""
        for logger in self._loggers:
            with suppress(NotImplementedError):  # Fabric's CSVLogger keeps metrics alone
                logger.log_hyperparams(self._settings)

    def on_epoch_end(self, trainer: TrainingState, metrics: EpochMetrics) -> None:
        """Log an epoch's metrics at the number of steps that are done over all phases."""
        for logger in self._loggers:
            logger.log_metrics(dict(metrics), trainer.steps_done)
            logger.save()

    def on_card(self, trainer: TrainingState, card: Card) -> None:
        """Log the card's accuracies, as `card_test` and so on, and end well."""
        measured = {f"card_{name}": value for name, value in card.metadata.accuracies.items()}
        for logger in self._loggers:
            logger.log_metrics(measured, trainer.steps_done)
            logger.finalize("success")

    def on_exception(self, trainer: TrainingState, error: BaseException) -> None:
        """End badly."""
        for logger in self._loggers:
            logger.finalize("failed")

"""One recipe, or one module, in; one card out."""

from winninghand.training.callbacks import Callback
from winninghand.training.loggers import make_logger
from winninghand.training.run import Run
from winninghand.training.run_folder import RunFolder
from winninghand.training.schedule import TrainingState
from winninghand.training.train import compress, new_run, train

__all__ = ["Callback", "Run", "RunFolder", "TrainingState", "compress", "make_logger", "new_run", "train"]

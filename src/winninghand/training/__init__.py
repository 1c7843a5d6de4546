"""One recipe, or one module, in; one card out."""

from winninghand.training.compress import compress
from winninghand.training.train import new_run, train

__all__ = ["compress", "new_run", "train"]

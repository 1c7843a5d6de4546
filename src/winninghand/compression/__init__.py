"""Methods that make a network compact, over shared pieces: prunable weights, budget, schedules, masks."""

from winninghand.compression.budget import Budget, Scope
from winninghand.compression.masks import MagnitudeMasks, Masks
from winninghand.compression.method import METHODS, Compressor, Method, Start
from winninghand.compression.patterns import Blocks, Pattern
from winninghand.compression.prunable import prunable_weights
from winninghand.compression.pruner import Pruner
from winninghand.compression.schedules import Phase, Ramp

__all__ = [
    "METHODS",
    "Blocks",
    "Budget",
    "Compressor",
    "MagnitudeMasks",
    "Masks",
    "Method",
    "Pattern",
    "Phase",
    "Pruner",
    "Ramp",
    "Scope",
    "Start",
    "prunable_weights",
]

"""Methods that make a network compact, over shared pieces: prunable weights, budget, phases, masks."""

from winninghand.compression.budget import Budget, Scope
from winninghand.compression.compressor import Compressor
from winninghand.compression.masks import Masks
from winninghand.compression.method import METHODS, Method, Start
from winninghand.compression.phase import Phase
from winninghand.compression.prunable import prunable_weights
from winninghand.compression.pruner import Pruner
from winninghand.compression.settings import Compression

__all__ = [
    "METHODS",
    "Budget",
    "Compression",
    "Compressor",
    "Masks",
    "Method",
    "Phase",
    "Pruner",
    "Scope",
    "Start",
    "prunable_weights",
]

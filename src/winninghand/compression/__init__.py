"""Methods that make a network compact, over shared pieces: prunable weights, budget, masks, rounds."""

from winninghand.compression import methods
from winninghand.compression.budget import Scope, kept_count, select
from winninghand.compression.masks import Masks
from winninghand.compression.method import METHODS, Method, Phase
from winninghand.compression.prunable import prunable_weights
from winninghand.compression.settings import Compression

__all__ = [
    "METHODS",
    "Compression",
    "Masks",
    "Method",
    "Phase",
    "Scope",
    "kept_count",
    "methods",
    "prunable_weights",
    "select",
]

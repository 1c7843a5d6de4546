"""The gates, one file and one registered name each."""

from winninghand.decks.gates import average, spectral

__all__ = ["average", "spectral"]

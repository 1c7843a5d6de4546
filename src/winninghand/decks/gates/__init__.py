"""The gates, one file and one registered name each."""

from winninghand.decks.gates import average, spectral, spectral_image, stream, weighted

__all__ = ["average", "spectral", "spectral_image", "stream", "weighted"]

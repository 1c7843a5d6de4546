"""The compression methods, one file and one registered name each."""

from winninghand.compression.methods import dense, lrr

__all__ = ["dense", "lrr"]

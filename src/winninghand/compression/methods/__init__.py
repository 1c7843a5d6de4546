"""The compression methods, one file and one registered name each."""

from winninghand.compression.methods import bp, dense, ep, ft, gmp, lrr, lth

__all__ = ["bp", "dense", "ep", "ft", "gmp", "lrr", "lth"]

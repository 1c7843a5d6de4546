"""The compression methods, one file and one registered name each."""

# isort: off
# In the order in which they are shown to people.
from winninghand.compression.methods import dense, ft, gmp, lth, lrr, ep, bp

__all__ = ["bp", "dense", "ep", "ft", "gmp", "lrr", "lth"]

"""Tensors as byte streams near their entropy; knows nothing of networks or files."""

from winninghand.cards.codec.bound import entropy_bound
from winninghand.cards.codec.tensors import Decoded, decode_tensors, encode_tensors

__all__ = ["Decoded", "decode_tensors", "encode_tensors", "entropy_bound"]

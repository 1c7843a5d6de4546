"""Tensors as byte streams near their entropy; knows nothing of networks or files."""

from winninghand.cards.codec.bound import entropy_bound
from winninghand.cards.codec.tensors import (
    Decoded,
    Entry,
    check_file,
    decode_tensors,
    encode_tensors,
    read_index,
)

__all__ = [
    "Decoded",
    "Entry",
    "check_file",
    "decode_tensors",
    "encode_tensors",
    "entropy_bound",
    "read_index",
]

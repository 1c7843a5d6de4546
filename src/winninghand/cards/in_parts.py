"""Cards of one body in a file: the body and the clean profile apart from what is each card's own.

Cards that share a body give the same streams for it, which a file then stores once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set
from typing import Any

import torch
from torch import Tensor, nn

from winninghand.cards.codec import Decoded, Entry, encode_tensors, entropy_bound
from winninghand.cards.codec.tensors import STREAMS
from winninghand.cards.file import BODY, CardParts, Streams, header_of, read_part, scales_of, tensors_of
from winninghand.networks.norms import norm_names

_NETWORK, _CLEAN_PROFILE = "network.", "profile.clean_"
_CLEAN, _OWN = "clean", ""


def pack_in_parts(parts: CardParts) -> tuple[dict[str, Any], Streams]:
    """Return a card as `pack_card` does, its streams in three parts: `body/…`, `clean/…` and its own.

    Norms and profiles that are exactly halves are written as such.
    """
    header, scales = header_of(parts), scales_of(parts)
    streams = {
        f"{part}/{name}".lstrip("/"): stream
        for part, tensors in _divided(parts).items()
        if tensors
        for name, stream in encode_tensors(tensors, scales if part == BODY else None).items()
    }
    return header, streams


def body_digest(parts: CardParts) -> bytes:
    """Return a hash of what a card's body would be in a file; two cards of one body have the same."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in {**_divided(parts)[BODY], **scales_of(parts)}.items():
        digest.update(repr((name, tensor.dtype, tensor.shape)).encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()


def body_entropy(parts: CardParts) -> float:
    """Return the bytes that a card's body would take at its entropy (see `entropy_bound`)."""
    prunable = {_NETWORK + name for name in parts.metadata.prunable}
    return entropy_bound(_divided(parts)[BODY], prunable, scales_of(parts))


def _divided(parts: CardParts) -> dict[str, dict[str, Tensor]]:
    norms = {_NETWORK + name for name in norm_names(parts.network)}
    divided: dict[str, dict[str, Tensor]] = {BODY: {}, _CLEAN: {}, _OWN: {}}
    for name, tensor in tensors_of(parts).items():
        if name.startswith(_NETWORK) and name not in norms:
            divided[BODY][name] = tensor
        else:
            divided[_CLEAN if name.startswith(_CLEAN_PROFILE) else _OWN][name] = _as_half(tensor)
    return divided


def _as_half(tensor: Tensor) -> Tensor:
    """Return a tensor of floats as halves where these are the same numbers."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if torch.equal(half.to(tensor.dtype), tensor) else tensor


class SharedParts:
    """Reads each body of a file once, so that cards of one body come back as the very same tensors."""

    def __init__(self) -> None:
        self._read: dict[tuple[bytes, ...], Decoded] = {}

    def __call__(self, streams: Streams, entries: list[Entry], parameters: Set[str]) -> Decoded:
        """Return what streams hold, see `read_part`; for the same streams the same tensors."""
        content = tuple(streams[name].numpy().tobytes() for name in STREAMS)
        if content not in self._read:
            decoded = read_part(streams, entries, parameters)
            for name in decoded.tensors.keys() & parameters:
                decoded.tensors[name] = nn.Parameter(decoded.tensors[name])
            self._read[content] = decoded
        return self._read[content]

"""The parts of a card as a header of JSON values and byte streams, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.cards.codec import decode_tensors, encode_tensors, entropy_bound
from winninghand.cards.metadata import CardMetadata
from winninghand.networks import network as from_catalog
from winninghand.spectra import SpectralProfile

KIND: Final = "card"

Streams = dict[str, Tensor]
_NETWORK = "network."
_PROFILE, _CLEAN_PROFILE = "profile.", "profile.clean_"


class CardParts(NamedTuple):
    """What a card is made of, in the order in which `Card` takes it.

    `scales` holds, for weights that are whole levels times a scale per output channel, these
    scales, float32 (channels,), by weight name.
    """

    network: nn.Module
    metadata: CardMetadata
    profile: SpectralProfile | None
    scales: Mapping[str, Tensor]


def pack_card(parts: CardParts) -> tuple[dict[str, Any], Streams]:
    """Return a card as JSON values and flat byte tensors; the same parts give the same bytes."""
    header = {"card": parts.metadata.model_dump(mode="json", by_alias=True)}
    return header, encode_tensors(_tensors(parts), _scales(parts))


def unpack_card(
    header: Mapping[str, Any], streams: Mapping[str, Tensor], origin: str, network: nn.Module | None = None
) -> CardParts:
    """Return the parts that `pack_card` packed.

    `network` is the module to fill where the card's is not from the catalog. Raises `InputError`,
    which names `origin`, where the header or a stream is damaged or does not fit the network.
    """
    try:
        metadata = CardMetadata.model_validate(header.get("card"))
        decoded = decode_tensors(streams)
        tensors = decoded.tensors
        profile = _taken_profile(tensors)
        weights = {name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items()}
        if _is_half(metadata):
            weights |= {name: weights[name].float() for name in metadata.prunable}
        scales = {name.removeprefix(_NETWORK): scale for name, scale in decoded.scales.items()}
        return CardParts(_filled(_skeleton(metadata, network), weights), metadata, profile, scales)
    except (ValidationError, InputError, KeyError) as error:
        reason = "its header is damaged" if isinstance(error, ValidationError | KeyError) else str(error)
        raise InputError(f"cannot load {origin}: {reason}") from error


def entropy_bound_of(parts: CardParts) -> float:
    """Return the bytes that the card's weights would take at their entropy (see `entropy_bound`)."""
    prunable = {_NETWORK + name for name in parts.metadata.prunable}
    return entropy_bound(_tensors(parts), prunable, _scales(parts))


def _scales(parts: CardParts) -> dict[str, Tensor]:
    return {_NETWORK + name: scale for name, scale in parts.scales.items()}


def _tensors(parts: CardParts) -> dict[str, Tensor]:
    tensors = {_NETWORK + name: tensor for name, tensor in parts.network.state_dict().items()}
    for name in parts.metadata.prunable:
        # A pruned weight is +0, whatever sign the optimizer left it with.
        weight = tensors[_NETWORK + name] + 0.0
        tensors[_NETWORK + name] = weight.half() if _is_half(parts.metadata) else weight
    if parts.profile is not None:
        tensors |= _profile_tensors(parts.profile, _PROFILE)
        if parts.profile.clean is not None:
            tensors |= _profile_tensors(parts.profile.clean, _CLEAN_PROFILE)
    return tensors


def _is_half(metadata: CardMetadata) -> bool:
    """Tell whether the card's prunable weights are written as halves."""
    return metadata.quantization is not None and metadata.quantization.get("weights") == "fp16"


def _profile_tensors(profile: SpectralProfile, prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}mean": profile.mean, f"{prefix}spread": profile.spread}


def _taken_profile(tensors: dict[str, Tensor]) -> SpectralProfile | None:
    """Take the profile, and the clean one that may be with it, out of a card's tensors."""
    clean = _taken(tensors, _CLEAN_PROFILE)
    profile = _taken(tensors, _PROFILE)
    if profile is None:
        return None
    return SpectralProfile(*profile, None if clean is None else SpectralProfile(*clean))


def _taken(tensors: dict[str, Tensor], prefix: str) -> tuple[Tensor, Tensor] | None:
    mean, spread = (tensors.pop(f"{prefix}{part}", None) for part in ("mean", "spread"))
    return None if mean is None or spread is None else (mean, spread)


def _skeleton(metadata: CardMetadata, network: nn.Module | None) -> nn.Module:
    """Return a module of the card's architecture, its values still to come."""
    if network is not None:
        return network
    if metadata.architecture is None:
        raise InputError("its network is not from the catalog; pass it: wh.load(path, network=module)")
    match metadata.architecture:
        case {"name": str(name), **settings}:
            pass
        case _:
            raise InputError("its architecture has no name")
    try:
        with torch.device("meta"):  # no memory is spent before the shapes have been compared
            return from_catalog(name, **settings)
    except (TypeError, RuntimeError, OverflowError) as error:  # sizes within bounds, but not together
        raise InputError(f"its architecture cannot be built: {type(error).__name__}") from error


def _filled(module: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        name = min(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise InputError(
            f"the network does not fit the card: {name!r} is {expected.get(name)} in the network "
            f"and {found.get(name)} in the card"
        )
    module.load_state_dict(dict(weights), assign=True)
    return module

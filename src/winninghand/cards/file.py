"""A card as a header and byte streams, and the file they make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.cards.card import Card
from winninghand.cards.coding import decode_tensors, encode_tensors, entropy_bound
from winninghand.cards.container import read_streams, write_streams
from winninghand.cards.metadata import CardMetadata
from winninghand.cards.quantization import restored, stored
from winninghand.networks import network as from_catalog
from winninghand.spectra import SpectralProfile

KIND = "card"

Streams = dict[str, Tensor]
_NETWORK = "network."
_PROFILE, _CLEAN_PROFILE = "profile.", "profile.clean_"


def save_card(card: Card, path: Path | str) -> None:
    """Write a card to one safetensors file, whole or not at all."""
    header, streams = pack_card(card)
    write_streams(path, {"kind": KIND, **header}, streams)


def load_card(path: Path | str, network: nn.Module | None = None) -> Card:
    """Read a card; `network` is the module to fill where the card's is not from the catalog.

    Raises `InputError` for a file that is no card, is damaged or does not fit the network.
    """
    header, streams = read_streams(path)
    kind = header.pop("kind", None)
    if kind != KIND:
        raise InputError(f"{path} holds a {kind}, not a card; give a .card file")
    return unpack_card(header, streams, str(path), network)


def pack_card(card: Card) -> tuple[dict[str, Any], Streams]:
    """Return a card as JSON values and flat byte tensors."""
    return {"card": card.metadata.model_dump(mode="json", by_alias=True)}, encode_tensors(
        _tensors(card), _scales(card)
    )


def unpack_card(
    header: Mapping[str, Any], streams: Mapping[str, Tensor], origin: str, network: nn.Module | None = None
) -> Card:
    """Return the card that `pack_card` packed; `origin` names it in errors."""
    try:
        metadata = CardMetadata.model_validate(header.get("card"))
        decoded = decode_tensors(streams)
        tensors = decoded.tensors
        profile = _taken_profile(tensors)
        weights = {name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items()}
        weights |= {name: restored(weights[name], metadata.quantization) for name in metadata.prunable}
        scales = {name.removeprefix(_NETWORK): scale for name, scale in decoded.scales.items()}
        return Card(_filled(_skeleton(metadata, network), weights), metadata, profile, scales)
    except (ValidationError, InputError, KeyError) as error:
        reason = "its header is damaged" if isinstance(error, ValidationError | KeyError) else str(error)
        raise InputError(f"cannot load {origin}: {reason}") from error


def card_entropy_bound(card: Card) -> float:
    """Return the bytes that the card's weights would take at their entropy (see `entropy_bound`)."""
    return entropy_bound(_tensors(card), {_NETWORK + name for name in card.metadata.prunable}, _scales(card))


def _scales(card: Card) -> dict[str, Tensor]:
    return {_NETWORK + name: scale for name, scale in card.scales.items()}


def _tensors(card: Card) -> dict[str, Tensor]:
    tensors = {_NETWORK + name: tensor for name, tensor in card.network.state_dict().items()}
    for name in card.metadata.prunable:
        # A pruned weight is +0, whatever sign the optimizer left it with.
        tensors[_NETWORK + name] = stored(tensors[_NETWORK + name] + 0.0, card.metadata.quantization)
    if card.profile is not None:
        tensors |= _profile_tensors(card.profile, _PROFILE)
        if card.profile.clean is not None:
            tensors |= _profile_tensors(card.profile.clean, _CLEAN_PROFILE)
    return tensors


def _profile_tensors(profile: SpectralProfile, prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}mean": profile.mean, f"{prefix}spread": profile.spread}


def _taken_profile(tensors: dict[str, Tensor]) -> SpectralProfile | None:
    """Take the profile, and the clean one that may be with it, out of a card's tensors."""
    clean = _taken(tensors, _CLEAN_PROFILE)
    profile = _taken(tensors, _PROFILE)
    return (
        None
        if profile is None
        else SpectralProfile(*profile, None if clean is None else SpectralProfile(*clean))
    )


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

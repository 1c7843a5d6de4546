"""A card as a header of JSON values and byte streams, and back; long, for its checks of a stranger's file."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, NamedTuple, get_args

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from winninghand.base.errors import InputError, first_error
from winninghand.cards.codec import Decoded, Entry, decode_tensors, encode_tensors, entropy_bound, read_index
from winninghand.cards.codec.encodings import FLOATS
from winninghand.cards.container import DRAWN
from winninghand.cards.metadata import CardMetadata
from winninghand.cards.quantization import fits_levels
from winninghand.networks import architecture_of, is_outside, rebuilt, runs_code, version_of
from winninghand.networks.entering import check_outputs, check_values, giving_logits, plain
from winninghand.spectra import SpectralProfile
from winninghand.spectra.profile import Rule, profile_shape

KIND: Final = "card"

Streams = dict[str, Tensor]
BODY: Final = "body"
"""The part of a card's streams that cards of one body share, where it is stored apart."""

_NETWORK = "network."
_PROFILE, _CLEAN_PROFILE = "profile.", "profile.clean_"

# A network of a library is tried on an image of its size; on one of this side that takes a second at most.
_LARGEST_TRIED = 1024

# Beside the metadata, where versions that know of no rule leave it unread; absent, the rule is the old one.
_RULE = "profile_rule"


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
    """Return a card as JSON values and flat byte tensors; the same parts give the same bytes.

    The file holds what the card holds: raises `InputError` for values that are not finite, for floats
    that are not single precision, and for weights that no longer are what they were quantized to.
    """
    header, tensors = header_of(parts), tensors_of(parts)
    if parts.metadata.draws_weights:
        # Few cards need it.
        from winninghand.cards.drawn import without_drawn

        drawn, tensors = without_drawn(parts.metadata, tensors, _NETWORK)
        if drawn is not None:
            header[DRAWN] = drawn
    return header, encode_tensors(tensors, scales_of(parts))


def header_of(parts: CardParts) -> dict[str, Any]:
    """Return what a file says of a card in words, once the card is one that a file can hold."""
    check_values(parts.network.state_dict())
    _check_can_be_opened(parts)
    _check_format(parts)
    header: dict[str, Any] = {"card": parts.metadata.model_dump(mode="json", by_alias=True)}
    if parts.profile is not None and parts.profile.rule != "padded":
        header[_RULE] = parts.profile.rule
    return header


def read_part(streams: Streams, entries: list[Entry], parameters: Set[str]) -> Decoded:
    """Return the tensors, in single precision, and the scales that some streams hold.

    `parameters` names those that are parameters of the network.
    """
    del parameters
    decoded = decode_tensors(streams, entries)
    check_values(decoded.tensors)
    return Decoded({name: _single(tensor) for name, tensor in decoded.tensors.items()}, decoded.scales)


def unpack_card(
    header: Mapping[str, Any],
    streams: Mapping[str, Tensor],
    origin: str,
    network: nn.Module | None = None,
    read: Callable[[Streams, list[Entry], Set[str]], Decoded] = read_part,
    trust: bool = False,
) -> CardParts:
    """Return the parts that `pack_card` or `pack_in_parts` packed.

    `network` is the module to fill where the card's has no name that is known, `read` what reads a body
    that is a part of its own. With `trust` a network may be built by code that its import path names.
    Raises `InputError`, which names `origin`, where the header or a stream is damaged or does not fit the
    network.
    """
    try:
        metadata = CardMetadata.model_validate(header.get("card"))
        skeleton = _skeleton(metadata, network, trust)
        found = by_part(streams)
        indices = {part: read_index(one) for part, one in found.items()}
        entries = [entry for part in sorted(indices) for entry in indices[part]]
        # Of a card in parts, all but the body may be written as halves.
        halves = (
            {e.name for part in indices.keys() - {BODY} for e in indices[part]} if BODY in found else set()
        )
        with _said_of_versions(metadata, network):
            _check_layouts(entries, skeleton, metadata, any_float=network is not None, halves=halves)
        name = None if network is not None else (metadata.architecture or {}).get("name")
        if is_outside(name):
            skeleton = _with_tables(metadata, skeleton)
        parameters = {_NETWORK + name for name, _ in skeleton.named_parameters(remove_duplicate=False)}
        decoded = [
            (read if part == BODY else read_part)(one, indices[part], parameters)
            for part, one in found.items()
        ]
        tensors = {name: tensor for one in decoded for name, tensor in one.tensors.items()}
        if DRAWN in header:
            from winninghand.cards.drawn import with_drawn

            tensors = with_drawn(header[DRAWN], metadata, tensors, _NETWORK)
        profile = _taken_profile(tensors, header.get(_RULE, "padded"))
        weights = {name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items()}
        scales = {name.removeprefix(_NETWORK): scale for one in decoded for name, scale in one.scales.items()}
        filled = _filled(skeleton, weights)
        if name is None or runs_code(name):
            filled = giving_logits(filled, metadata.input_size, len(metadata.classes))
        elif is_outside(name) and max(metadata.input_size) <= _LARGEST_TRIED:
            check_outputs(filled, metadata.input_size, len(metadata.classes))
        parts = CardParts(filled, metadata, profile, scales)
        check_parts(parts)
        return parts
    except ValidationError as error:
        raise InputError(f"cannot load {origin}: its header is damaged: {first_error(error)}") from error
    except InputError as error:
        raise InputError(f"cannot load {origin}: {error}") from error


def by_part(streams: Mapping[str, Tensor]) -> dict[str, Streams]:
    """Return a card's streams by their part; a card that is not in parts has one without a name."""
    parts: dict[str, Streams] = defaultdict(dict)
    for name, stream in streams.items():
        part, _, own = name.rpartition("/")
        parts[part][own] = stream
    return parts or {"": {}}


def check_parts(parts: CardParts) -> None:
    """Raise `InputError` unless profile, prunable weights and scales are those of this network."""
    _check_kinds(parts)
    if parts.profile is not None:
        parts.profile.check(parts.metadata.input_size)
    parameters = dict(parts.network.named_parameters())
    for name in parts.metadata.prunable:
        if name not in parameters:
            raise InputError(f"its network has no prunable weight {name!r}")
    for name, scale in parts.scales.items():
        if name not in parameters or scale.shape != parameters[name].shape[:1]:
            raise InputError(f"its scales of {name!r} are not one per output channel")
        if not bool((scale.isfinite() & (scale > 0)).all()):
            raise InputError(f"its scales of {name!r} are not all finite and above 0")


def _check_kinds(parts: CardParts) -> None:
    """Raise `InputError` for parts of another type; whoever calls `Card` with one means `from_module`."""
    for part, given, fits in (
        ("network must be a torch.nn.Module", parts.network, isinstance(parts.network, nn.Module)),
        ("metadata must be a CardMetadata", parts.metadata, isinstance(parts.metadata, CardMetadata)),
        (
            "profile must be a SpectralProfile",
            parts.profile,
            isinstance(parts.profile, SpectralProfile | None),
        ),
        ("scales must be a mapping", parts.scales, isinstance(parts.scales, Mapping)),
    ):
        if not fits:
            raise InputError(
                f"a card's {part}, not {type(given).__name__}; Card.from_module makes one of any classifier"
            )


def entropy_bound_of(parts: CardParts) -> float:
    """Return the bytes that the card's weights would take at their entropy (see `entropy_bound`)."""
    prunable = {_NETWORK + name for name in parts.metadata.prunable}
    return entropy_bound(tensors_of(parts), prunable, scales_of(parts))


def scales_of(parts: CardParts) -> dict[str, Tensor]:
    """Return the scales of a card's levels by the names of its tensors."""
    return {_NETWORK + name: scale for name, scale in parts.scales.items()}


def tensors_of(parts: CardParts) -> dict[str, Tensor]:
    """Return the tensors that a card's file holds, by name, as it holds them."""
    tensors = {_NETWORK + name: _single(tensor) for name, tensor in parts.network.state_dict().items()}
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


def _taken_profile(tensors: dict[str, Tensor], rule: Any) -> SpectralProfile | None:  # noqa: ANN401 (JSON)
    """Take the profile, and the clean one that may be with it, out of a card's tensors."""
    if rule not in get_args(Rule):
        raise InputError(f"its profile was made by a rule that is not known here, {rule!r}; upgrade")
    clean = _taken(tensors, _CLEAN_PROFILE)
    profile = _taken(tensors, _PROFILE)
    if profile is None:
        return None
    return SpectralProfile(*profile, None if clean is None else SpectralProfile(*clean), rule)


def _taken(tensors: dict[str, Tensor], prefix: str) -> tuple[Tensor, Tensor] | None:
    mean, spread = (tensors.pop(f"{prefix}{part}", None) for part in ("mean", "spread"))
    return None if mean is None or spread is None else (mean, spread)


def _skeleton(metadata: CardMetadata, network: nn.Module | None, trust: bool) -> nn.Module:
    """Return a module of the card's architecture, its values still to come."""
    if network is not None:
        return plain(network)
    if metadata.architecture is None:
        raise InputError("its network is not from the catalog; pass it: wh.load(path, network=module)")
    name, settings = _named(metadata)
    if runs_code(name):
        module = _built_empty(name, settings, trust)
    else:
        module = copy.deepcopy(_without_values(_as_text({"name": name, **settings})))
    found = architecture_of(module)
    complete = {} if found is None else found.settings
    outputs, names = complete.get("classes"), len(metadata.classes)
    # Code may make a network that does not say how many outputs it has; it is tried once it has its weights.
    if outputs != names and (outputs is not None or not is_outside(name)):
        raise InputError(f"its network has {outputs} outputs for {names} classes")
    side = None if is_outside(name) else complete.get("input_size")
    if side is not None and metadata.input_size != (side, side):
        raise InputError(f"its network takes images of {side} × {side}, not {metadata.input_size}")
    return module


@lru_cache(maxsize=8)
def _without_values(text: str) -> nn.Module:
    """Return the network of an architecture, as JSON, on the device `meta`; not to be changed.

    No memory is spent before shapes have been compared, and the cards of a deck share it.
    """
    settings: dict[str, Any] = json.loads(text)
    return _built_empty(settings.pop("name"), settings)


def _built_empty(name: str, settings: Mapping[str, Any], trust: bool = False) -> nn.Module:
    try:
        return rebuilt(name, settings, trust)
    except (TypeError, RuntimeError, OverflowError) as error:  # sizes within bounds, but not together
        raise InputError(f"its architecture cannot be built: {type(error).__name__}") from error


def _named(metadata: CardMetadata) -> tuple[str, dict[str, Any]]:
    """Return name and settings of a card's network."""
    settings = dict(metadata.architecture or {})
    name = settings.pop("name", None)
    if not isinstance(name, str):
        raise InputError("its architecture has no name")
    if is_outside(name):
        settings.pop("version", None)
    if "trust" in settings:
        raise InputError("its architecture has a setting 'trust', which a file cannot have")
    return name, settings


def _as_text(table: object) -> str:
    try:
        return json.dumps(table, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError("its architecture is no table of plain values") from error


def _with_tables(metadata: CardMetadata, skeleton: nn.Module) -> nn.Module:
    """Return a network with what its library computes for it, such as positions, which no file holds."""
    if not any(tensor.is_meta for tensor in skeleton.state_dict().values()):
        return skeleton  # of code, which has made it already
    name, settings = _named(metadata)
    return rebuilt(name, settings, values=True)


@contextmanager
def _said_of_versions(metadata: CardMetadata, network: nn.Module | None) -> Iterator[None]:
    """Say of a network that does not fit its card which versions made the two, where they differ."""
    try:
        yield
    except InputError as error:
        table = metadata.architecture or {}
        if network is not None or not is_outside(table.get("name")):
            raise
        here, there = version_of(str(table["name"])), str(table.get("version", ""))
        # A library that is missing, and code that is not trusted, has no version here.
        if not here or not there or here == there:
            raise
        raise InputError(
            f"{error}; it was made with version {there} of its library, and here is {here}"
        ) from None


def _check_layouts(
    entries: Sequence[Entry],
    skeleton: nn.Module,
    metadata: CardMetadata,
    any_float: bool,
    halves: Set[str],
) -> None:
    """Compare what the streams declare with what the network asks for, before anything is decoded.

    The tensors `halves` may be written as halves.
    """
    found = {entry.name: entry.layout for entry in entries}
    if len(found) < len(entries):
        raise InputError("its parts name a tensor twice")
    for prefix in (_PROFILE, _CLEAN_PROFILE):
        for part in ("mean", "spread"):
            layout = found.pop(prefix + part, None)
            allowed = {"float32", "float16"} if prefix + part in halves else {"float32"}
            if layout and (layout.dtype not in allowed or layout.shape != profile_shape(metadata.input_size)):
                raise InputError(f"its {prefix}{part} is no profile of images of its input size")
    expected = {_NETWORK + name: tensor for name, tensor in skeleton.state_dict().items()}
    written = {_NETWORK + name for name in metadata.prunable} if _is_half(metadata) else set()
    for key in sorted(expected.keys() | found.keys()):
        name = key.removeprefix(_NETWORK)
        wanted = tuple(expected[key].shape) if key in expected else None
        given = found[key].shape if key in found else None
        if wanted is None or given is None or wanted != given:
            raise InputError(
                f"the network does not fit the card: {name!r} is {wanted} in the network and "
                f"{given} in the card"
            )
        allowed = {"float32", "float16"} if key in written | halves else {"float32"}
        if not expected[key].is_floating_point():
            allowed = {str(expected[key].dtype).removeprefix("torch.")}
        elif any_float:
            allowed = set(FLOATS)
        if found[key].dtype not in allowed:
            raise InputError(f"its {name!r} is {found[key].dtype}, not {' or '.join(sorted(allowed))}")


def _filled(module: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """Give a network its values; what is one tensor in it stays one."""
    named = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    ties: dict[int, list[str]] = defaultdict(list)
    for name, tensor in named:
        ties[id(tensor)] += [name] if name in weights else []
    module.load_state_dict(dict(weights), assign=True)
    for first, *others in filter(None, ties.values()):
        for other in others:
            if not torch.equal(weights[first], weights[other]):
                raise InputError(f"{first!r} and {other!r} are one in the network and differ in the card")
            _set(module, other, _get(module, first))
    return module


def _get(module: nn.Module, name: str) -> Tensor:
    path, _, leaf = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(path), leaf)
    return tensor


def _set(module: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(path), leaf, tensor)


def _single(tensor: Tensor) -> Tensor:
    """Return a tensor of floats in single precision; `InputError` where that would change it."""
    if not tensor.is_floating_point() or tensor.dtype == torch.float32:
        return tensor
    single = tensor.float()
    if not torch.equal(single.to(tensor.dtype), tensor):
        raise InputError(f"a card holds single precision, not {tensor.dtype}; convert it by card.float()")
    return single


def _check_can_be_opened(parts: CardParts) -> None:
    """Raise `InputError` for a network that is no longer the one that its name and settings make."""
    if parts.metadata.architecture is None:
        return
    name, settings = _named(parts.metadata)
    text = _as_text({"name": name, **settings})
    if runs_code(name):  # it may be that its code is not trusted here
        return
    try:
        made = {key: tuple(tensor.shape) for key, tensor in _without_values(text).state_dict().items()}
    except InputError:
        if is_outside(name):  # its library may be missing here, where it was opened with the module
            return
        raise
    held = {key: tuple(tensor.shape) for key, tensor in parts.network.state_dict().items()}
    odd = next((key for key in sorted(made.keys() | held.keys()) if made.get(key) != held.get(key)), None)
    if odd is not None:
        raise InputError(
            f"the card's network is no longer the {name} that its metadata names: {odd!r} is "
            f"{held.get(odd)}, not {made.get(odd)}; make a card of it by Card.from_module"
        )


def _check_format(parts: CardParts) -> None:
    """Refuse weights that were changed after they had been quantized."""
    form = (parts.metadata.quantization or {}).get("weights")
    for name in parts.metadata.prunable if form else ():
        if not _is_of(str(form), parts.network.get_parameter(name).detach(), name, parts.scales):
            raise InputError(
                f"{name!r} has been changed since it was quantized to {form}; quantize the card again, or "
                "say that it is not quantized: card.with_metadata(quantization=None)"
            )


def _is_of(form: str, weight: Tensor, name: str, scales: Mapping[str, Tensor]) -> bool:
    """Tell whether a weight is what `quantize` gives."""
    if form == "fp16":
        return torch.equal(weight.half().float(), weight.float())
    if form == "binary":
        magnitudes = weight[weight != 0].abs()
        return not magnitudes.numel() or bool(magnitudes.min() == magnitudes.max())
    return not weight.numel() or (name in scales and fits_levels(weight + 0.0, scales[name], form))

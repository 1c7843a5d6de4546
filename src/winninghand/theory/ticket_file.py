"""A ticket's file: a seed and masks. What it is a ticket of, and what is proved, come from the target."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from winninghand.base.errors import LARGEST, InputError, checked_path, first_error
from winninghand.cards import Card
from winninghand.cards.codec import decode_tensors, encode_tensors, read_index
from winninghand.cards.container import read_streams, write_streams
from winninghand.engine.program import Program
from winninghand.theory.certificate import Certificate
from winninghand.theory.construction import built
from winninghand.theory.copies import Depth, direct_layers
from winninghand.theory.decomposition import target_of
from winninghand.theory.embedding import Ticket, program_of
from winninghand.theory.planning import check_memory
from winninghand.theory.widths import Kind, Width

_KIND = "ticket"
_MASKS = ("kept", "bias_kept")


class _LayerWidth(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(ge=1, le=2**24)
    hidden: int = Field(ge=0, le=2**28)
    scale: float = Field(gt=0, allow_inf_nan=False)
    constant_scale: float = Field(gt=0, allow_inf_nan=False)


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(ge=0, le=LARGEST)
    epsilon: float = Field(gt=0, allow_inf_nan=False)
    form: Kind
    depth: Depth
    widths: tuple[_LayerWidth, ...]


def save_ticket(ticket: Ticket, path: Path | str) -> None:
    """Write seed and masks to one file, whole or not at all; no weight is in it."""
    header = _Header(
        seed=ticket.seed,
        epsilon=ticket.epsilon,
        form=ticket.kind,
        depth=ticket.depth,
        widths=tuple(
            _LayerWidth(
                samples=one.samples, hidden=one.hidden, scale=one.scale, constant_scale=one.constant_scale
            )
            for one in ticket.widths
        ),
    )
    masks = {
        name: mask.float()
        for name, mask in ticket.network.state_dict().items()
        if name.rpartition(".")[2] in _MASKS
    }
    write_streams(path, {"kind": _KIND, **header.model_dump(mode="json")}, encode_tensors(masks))


def load_ticket(
    path: Path | str, target: Card | nn.Module | Program, input_shape: tuple[int, ...] | None = None
) -> Ticket:
    """Return the ticket of a file: the network drawn from its seed, under its masks, and its certificate
    anew.

    `target` is what it is the ticket of, as for `embed`. Raises `InputError` for a file that is damaged, or
    of another target's ticket.
    """
    path = checked_path("the ticket", path)
    header, streams = read_streams(path)
    if header.pop("kind", None) != _KIND:
        raise InputError(f"cannot load {path}: it holds no ticket")
    try:
        known = _Header.model_validate(header)
    except ValidationError as error:
        raise InputError(f"cannot load {path}: its header is damaged: {first_error(error)}") from error
    wanted = target_of(program_of(target, input_shape), levels=known.form == "integers")
    layers = list(wanted.layers)
    if len(layers) != len(known.widths):
        raise InputError(
            f"cannot load {path}: it is a ticket of {len(known.widths)} layers, not {len(layers)}"
        )
    widths = {
        layer.output: Width(one.samples, one.samples, 0.0, one.hidden, one.scale, one.constant_scale)
        for layer, one in zip(layers, known.widths, strict=True)
    }
    direct = direct_layers(wanted, known.depth)
    check_memory(wanted, widths, direct)
    try:
        masks = {
            name: mask != 0 for name, mask in decode_tensors(streams, read_index(streams)).tensors.items()
        }
        network = built(wanted, widths, known.form, known.seed, direct, _checked(masks))
        certificate = Certificate(wanted, network)
    except (KeyError, RuntimeError, InputError) as error:
        raise InputError(f"cannot load {path}: its masks are not of a ticket of this target") from error
    if certificate.bound > known.epsilon:
        raise InputError(
            f"cannot load {path}: it is proved within {certificate.bound:.3g} of this target, not within its "
            f"own {known.epsilon:g}; give the target that it is the ticket of"
        )
    return Ticket(
        network, certificate, known.seed, known.epsilon, known.form, tuple(widths.values()), known.depth
    )


def _checked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return masks as truth values."""
    if any(name.rpartition(".")[2] not in _MASKS for name in tensors):
        raise InputError("it holds more than masks")
    return {name: tensor != 0 for name, tensor in tensors.items()}

"""A ticket's file: a seed, sizes and scales of layers, and masks. What is proved comes from the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from winninghand.base.errors import LARGEST, InputError, checked_path, first_error
from winninghand.cards import Card
from winninghand.cards.codec import decode_tensors, encode_tensors, read_index
from winninghand.cards.container import read_streams, write_streams
from winninghand.decks import Deck
from winninghand.decks.file import MOST_CARDS
from winninghand.engine.program import Program
from winninghand.theory.certificate import Certificate
from winninghand.theory.construction import built
from winninghand.theory.copies import Depth, direct_layers
from winninghand.theory.decomposition import target_of
from winninghand.theory.embedding import Ticket, of_one_network, program_of
from winninghand.theory.planning import check_memory
from winninghand.theory.ticket_deck import TicketDeck
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
    tickets: int | None = Field(default=None, ge=1, le=MOST_CARDS)
    """Of a deck of tickets, how many they are."""


def save_ticket(ticket: Ticket | TicketDeck, path: Path | str) -> None:
    """Write the seed, the sizes and scales of layers, and the masks to one file, whole or not at all.

    No weight is in it. Of a deck of tickets the file holds one seed, and masks for each ticket.
    """
    tickets = ticket.tickets if isinstance(ticket, TicketDeck) else (ticket,)
    first = tickets[0]
    header = _Header(
        seed=first.seed,
        epsilon=first.epsilon,
        form=first.kind,
        depth=first.depth,
        widths=tuple(
            _LayerWidth(
                samples=one.samples, hidden=one.hidden, scale=one.scale, constant_scale=one.constant_scale
            )
            for one in first.widths
        ),
        tickets=len(tickets) if isinstance(ticket, TicketDeck) else None,
    )
    masks = {
        f"{number}.{name}" if header.tickets else name: mask.float()
        for number, one in enumerate(tickets)
        for name, mask in one.network.state_dict().items()
        if name.rpartition(".")[2] in _MASKS
    }
    values = header.model_dump(mode="json", exclude_none=True)
    write_streams(path, {"kind": _KIND, **values}, encode_tensors(masks))


def load_ticket(
    path: Path | str, target: Card | nn.Module | Program, input_shape: tuple[int, ...] | None = None
) -> Ticket:
    """Return the ticket of a file: the network drawn from its seed, under its masks, and its certificate
    anew.

    `target` is what it is the ticket of, as for `embed`. Raises `InputError` for a file that is damaged, or
    of another target's ticket.
    """
    path, known, streams = _read(path)
    if known.tickets is not None:
        raise InputError(f"cannot load {path}: it is a deck of tickets; take wh.theory.load_ticket_deck")
    return _tickets(path, known, streams, [program_of(target, input_shape)])[0]


def load_ticket_deck(path: Path | str, deck: Deck) -> TicketDeck:
    """Return the deck of tickets of a file: one network drawn from its seed, and each certificate anew.

    `deck` is what `embed_deck` was given. Raises `InputError` for a file that is damaged, or of the tickets
    of another deck.
    """
    path, known, streams = _read(path)
    if not isinstance(deck, Deck):
        raise InputError(f"load_ticket_deck takes a deck, not {type(deck).__name__}")
    if known.tickets != len(deck.cards):
        held = (
            "one ticket; take wh.theory.load_ticket" if known.tickets is None else f"{known.tickets} tickets"
        )
        raise InputError(
            f"cannot load {path}: the deck has {len(deck.cards)} cards, and the file holds {held}"
        )
    return TicketDeck(deck, _tickets(path, known, streams, [program_of(card) for card in deck.cards]))


def _read(path: Path | str) -> tuple[Path, _Header, Mapping[str, Tensor]]:
    path = checked_path("the ticket", path)
    header, streams = read_streams(path)
    if header.pop("kind", None) != _KIND:
        raise InputError(f"cannot load {path}: it holds no ticket")
    try:
        return path, _Header.model_validate(header), streams
    except ValidationError as error:
        raise InputError(f"cannot load {path}: its header is damaged: {first_error(error)}") from error


def _tickets(
    path: Path, known: _Header, streams: Mapping[str, Tensor], programs: Sequence[Program]
) -> list[Ticket]:
    targets = of_one_network([target_of(one, levels=known.form == "integers") for one in programs])
    layers = list(targets[0].layers)
    if len(layers) != len(known.widths):
        raise InputError(
            f"cannot load {path}: it is a ticket of {len(known.widths)} layers, not {len(layers)}"
        )
    widths = {
        layer.output: Width(one.samples, one.samples, 0.0, one.hidden, one.scale, one.constant_scale)
        for layer, one in zip(layers, known.widths, strict=True)
    }
    direct = direct_layers(targets[0], known.depth)
    check_memory(targets[0], widths, direct, len(targets))
    tickets: list[Ticket] = []
    try:
        masks = _checked(decode_tensors(streams, read_index(streams)).tensors)
        for number, target in enumerate(targets):
            shared = tickets[0].network if tickets else None
            own = f"{number}." if known.tickets else ""
            chosen = {name.removeprefix(own): mask for name, mask in masks.items() if name.startswith(own)}
            network = built(target, widths, known.form, known.seed, direct, chosen, shared)
            certificate = Certificate(target, network)
            given = tuple(widths.values())
            tickets.append(
                Ticket(network, certificate, known.seed, known.epsilon, known.form, given, known.depth)
            )
    except (KeyError, RuntimeError, InputError) as error:
        raise InputError(f"cannot load {path}: its masks are not of a ticket of this target") from error
    bound = max(one.bound for one in tickets)
    if bound > known.epsilon:
        raise InputError(
            f"cannot load {path}: it is proved within {bound:.3g} of this target, not within its "
            f"own {known.epsilon:g}; give the target that it is the ticket of"
        )
    return tickets


def _checked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return masks as truth values."""
    if any(name.rpartition(".")[2] not in _MASKS for name in tensors):
        raise InputError("it holds more than masks")
    return {name: tensor != 0 for name, tensor in tensors.items()}

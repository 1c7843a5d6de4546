"""Cards of one body: the same convolutions and linear weights, held once, under different norms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.cards.container import read_streams
from winninghand.cards.file import BODY
from winninghand.cards.in_parts import body_entropy
from winninghand.cards.opening import CardLike, opened
from winninghand.networks.entering import copied
from winninghand.networks.norms import body_tensors, norm_names, tie


def share_body(cards: Sequence[CardLike]) -> tuple[Card, ...]:
    """Return the same cards with their body held once, in memory and in the files of their decks.

    The cards given stay as they are. Raises `InputError` that names what differs, for cards of other
    networks, of another body, or with norms of another shape.
    """
    cards = opened(cards)
    if not isinstance(cards, list | tuple) or not cards or not all(isinstance(one, Card) for one in cards):
        raise InputError(
            "cards to share a body must be a list of cards, or of files of cards; give [one, other]"
        )
    first, *others = cards
    body = body_tensors(first.network)
    for number, card in enumerate(others, start=2):
        _check_same(first, card, number, body)
    networks = [copied(card.network) for card in cards]
    kept = body_tensors(networks[0])
    for network in networks[1:]:
        tie(network, kept)
    return tuple(
        Card(*card.parts._replace(network=network)) for card, network in zip(cards, networks, strict=True)
    )


def _check_same(first: Card, card: Card, number: int, body: Mapping[str, Tensor]) -> None:
    one, other = first.network.state_dict(), card.network.state_dict()
    odd = next(iter(sorted(one.keys() ^ other.keys())), None)
    if odd is not None or norm_names(first.network) != norm_names(card.network):
        named = "" if odd is None else f", of which one alone has {odd!r}"
        raise InputError(f"card {number} and card 1 are of different networks{named}; they share no body")
    for name, tensor in one.items():
        if other[name].shape != tensor.shape:
            kind = "its body" if name in body else "norms of another shape"
            raise InputError(
                f"card {number} cannot share the body of card 1: {kind}, {name!r} is "
                f"{tuple(other[name].shape)}, not {tuple(tensor.shape)}"
            )
        if name in body and not torch.equal(other[name].to(tensor), tensor):
            raise InputError(
                f"card {number} has another body than card 1: {name!r} differs; only cards made of one body "
                "by specialize have one"
            )


@dataclass(frozen=True)
class Tie:
    """The tensors by which the network of card `number`, from 0, is that of an earlier card, `first`."""

    number: int
    first: int
    names: tuple[str, ...]


def ties_of(cards: Sequence[Card]) -> tuple[Tie, ...]:
    """Return what cards have in common, each with the earliest that it has something in common with."""
    owners: dict[tuple[str, int], int] = {}
    ties = []
    for number, card in enumerate(cards):
        common: dict[int, list[str]] = {}
        for name, tensor in body_tensors(card.network).items():
            first = owners.setdefault((name, id(tensor)), number)
            if first != number and card is not cards[first]:
                common.setdefault(first, []).append(name)
        ties += [Tie(number, first, tuple(names)) for first, names in common.items()]
    return tuple(ties)


def tie_again(cards: Sequence[Card], ties: Sequence[Tie]) -> None:
    """Make one again, in place, what has become tensors of its own in a conversion."""
    for one in ties:
        tensors = body_tensors(cards[one.first].network)
        tie(cards[one.number].network, {name: tensors[name] for name in one.names})


def check_one_body(state: Mapping[str, Tensor], prefix: str, ties: Sequence[Tie]) -> None:
    """Raise `InputError` for a state dict that gives different values to what cards have in common."""
    for one in ties:
        for name in one.names:
            given = [state.get(f"{prefix}{number}.network.{name}") for number in (one.first, one.number)]
            left, right = given
            if left is not None and right is not None and not torch.equal(left, right):
                raise InputError(
                    f"card {one.number + 1} shares the body of card {one.first + 1}, and the state dict has "
                    f"different values of {name!r} for them"
                )


def bodies_of(cards: Sequence[Card]) -> tuple[tuple[int, ...], ...]:
    """Return the numbers, from 0, of the cards of each body; cards of one body stand together."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, card in enumerate(cards):
        body = tuple((name, id(tensor)) for name, tensor in body_tensors(card.network).items())
        groups.setdefault(body, []).append(number)
    return tuple(map(tuple, groups.values()))


def shared_bodies(cards: Sequence[Card], path: Path) -> list[dict[str, Any]]:
    """Return, as plain values, each body that several cards share, and what the norms of each of these cost.

    A body has the numbers of its `cards`, from 0, `parameters`, `nonzero`, `entropy_bound_bytes`, and its
    `bytes` in the file of the deck at `path`; `norms` is for each card its `domain` and its own `parameters`
    and `bytes`, the profile included.
    """
    groups = [numbers for numbers in bodies_of(cards) if len(numbers) > 1]
    _, streams = read_streams(path) if groups else ({}, {})
    sizes: Counter[tuple[str, bool]] = Counter()
    for name, stream in streams.items():
        number, _, rest = name.partition("/")
        sizes[number, rest.startswith(f"{BODY}/")] += 0 if rest.startswith("clean/") else stream.numel()
    bodies = []
    for numbers in groups:
        first = cards[numbers[0]]
        body = [one for one in body_tensors(first.network).values() if isinstance(one, nn.Parameter)]
        parameters = sum(one.numel() for one in {id(one): one for one in body}.values())
        bodies.append(
            {
                "cards": list(numbers),
                "parameters": parameters,
                "nonzero": sum(int(one.count_nonzero()) for one in {id(one): one for one in body}.values()),
                "entropy_bound_bytes": round(body_entropy(first.parts)),
                "bytes": sizes[str(numbers[0]), True],
                "norms": [
                    {
                        "domain": cards[number].metadata.domain_name,
                        "parameters": cards[number].inspect().parameters - parameters,
                        "bytes": sizes[str(number), False],
                    }
                    for number in numbers
                ],
            }
        )
    return bodies

"""Whole levels and scales of the weights in an exported graph: those of the card, found again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from winninghand.cards import Card
from winninghand.cards.quantization import to_levels

Array = NDArray[Any]

HIGHEST = 127
# Single precision leaves so much of a row where a norm was multiplied into it.
_ROUNDING = 1e-5
# An int32 bias must lie below 2^31 steps; half of that leaves room for rounding.
_LARGEST_BIAS = 2.0**30


class Levels:
    """The levels of cards, by the shape of the weight they are of.

    Exporters multiply the norm behind a layer into its weights: row c of a weight becomes f_c times what
    it was. Its levels stay (with the sign of f_c), and its scale becomes |f_c| times the card's, so that
    nothing is rounded a second time.
    """

    def __init__(self, cards: Iterable[Card]) -> None:
        self._known: dict[tuple[int, ...], list[tuple[Array, Array]]] = {}
        for card in cards:
            for name, scale in card.scales.items():
                weight = card.network.get_parameter(name).detach()
                rows = (weight.reshape(len(weight), -1) / scale[:, None]).round()
                self._known.setdefault(tuple(weight.shape), []).append((rows.numpy(), scale.numpy()))

    def of(self, weight: Array) -> tuple[Array, Array] | None:
        """Return levels int8 in the shape of `weight` (channels, …), and scales float32 (channels,) > 0.

        None for a weight that no card has levels of, such as that of a head that is not pruned.
        """
        rows = weight.reshape(len(weight), -1).astype(np.float64)
        for levels, _ in self._known.get(weight.shape, ()):
            squares = np.square(levels).sum(axis=1, dtype=np.float64)
            factors = (rows * levels).sum(axis=1) / np.where(squares > 0, squares, 1)
            if _is_product(rows, factors, levels):
                return _as_integers(levels * np.sign(factors)[:, None], np.abs(factors), weight.shape)
        return None


def nearest_levels(weight: Array) -> tuple[Array, Array]:
    """Return levels and scales as `Levels.of`, of a weight rounded as `Card.quantized` does."""
    rounded, scales = to_levels(torch.tensor(weight, dtype=torch.float32), HIGHEST, None)
    found = scales.double().numpy()
    levels = np.round(rounded.double().numpy().reshape(len(weight), -1) / found[:, None])
    return _as_integers(levels, found, weight.shape)


def _is_product(rows: Array, factors: Array, levels: Array) -> bool:
    """Tell whether each row is its factor times its levels, but for rounding."""
    difference = np.abs(rows - factors[:, None] * levels).max(axis=1)
    return bool((difference <= _ROUNDING * np.abs(rows).max(axis=1)).all())


def _as_integers(levels: Array, scales: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return int8 levels and float32 scales; a row of zeros has the scale 1."""
    tiny = scales < np.finfo(np.float32).tiny
    levels = np.where(tiny[:, None], 0, levels)
    return levels.astype(np.int8).reshape(shape), np.where(tiny, 1, scales).astype(np.float32)


def with_room_for(bias: Array, levels: Array, scales: Array, step: float) -> tuple[Array, Array]:
    """Return levels and scales by which each bias fits 32 bits, in steps of `step` (the input's) × scale.

    Only a channel whose weights are next to nothing beside its bias has too small a scale. Its scale
    grows, and its levels shrink; what is lost lies far below one step of the output.
    """
    least = np.abs(bias.astype(np.float64)) / (step * _LARGEST_BIAS)
    wanted = np.maximum(scales.astype(np.float64), least)
    column = (-1, *[1] * (levels.ndim - 1))
    smaller = np.round(levels * (scales / wanted).reshape(column))
    return smaller.astype(np.int8), wanted.astype(np.float32)

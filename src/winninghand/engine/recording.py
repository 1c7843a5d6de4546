"""What is recorded of a network: steps so far, and which value of the program each tensor holds.

It keeps for each tensor in which order it holds a value: views, such as a transposition or a flattening, are
done to the order alone, and come to nothing where a later operation sees channels, rows and columns again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from winninghand.engine.program import Channels, Convolution, Shape, Step

IMAGES = 2
"""How many are traced."""
ZERO = -1
"""In an order: no number of the value, but a zero of padding."""


class UntraceableError(Exception):
    """A network that is no list of the steps that a program knows; says why, in half a sentence."""


class Traced(NamedTuple):
    """What a tensor holds: the value, and for each number its place in it, (2, C, H, W) flattened.

    Without an order it is the value as it is. The tensor itself is kept, so that its identity stays its own.
    """

    tensor: Tensor
    number: int
    order: Tensor | None


class Recording:
    """Steps, the shapes of their values by number, and what each tensor holds that came of the images.

    `scales` are those of weights that are whole levels, by the names of the network's parameters.
    """

    def __init__(self, network: nn.Module, scales: Mapping[str, Tensor], images: Tensor) -> None:
        self.steps: list[Step] = []
        self.shapes: list[Shape] = []
        self.scales = scales
        self._names = {_place(one): name for name, one in network.named_parameters(remove_duplicate=False)}
        self._traced: dict[int, Traced] = {}
        self._resolved: dict[tuple[int, bytes], int] = {}
        # The images are value 0; of fewer than three dimensions, the last ones are 1 there.
        shape = images.shape[1:]
        number = self.value([*shape, 1, 1][: max(3, len(shape))])
        self.hold(images, number, None if len(shape) == 3 else self.canonical(number).reshape(images.shape))

    def add(self, step: Step) -> None:
        """Add a step at the end."""
        self.steps.append(step)

    def name_of(self, parameter: Tensor) -> str:
        """Return the name of a parameter of the network, or of a view of one; empty for anything else."""
        return self._names.get(_place(parameter), "")

    def knows(self, tensor: object) -> bool:
        """Tell whether a tensor came of the images."""
        return id(tensor) in self._traced

    def sharing(self, tensor: Tensor) -> set[int]:
        """Return the identities of the other tensors, of those that came of the images, in its memory."""
        memory = tensor.untyped_storage().data_ptr()
        return {
            key
            for key, one in self._traced.items()
            if one.tensor is not tensor and one.tensor.untyped_storage().data_ptr() == memory
        }

    def value(self, shape: Sequence[int]) -> int:
        """Return the number of a new value of this shape (C, H, W)."""
        self.shapes.append((int(shape[0]), int(shape[1]), int(shape[2])))
        return len(self.shapes) - 1

    def hold(self, tensor: Tensor, number: int, order: Tensor | None = None) -> None:
        """Note that a tensor holds a value, in an order."""
        if tensor.dtype != torch.float32:
            raise UntraceableError(f"it computes in {str(tensor.dtype).removeprefix('torch.')}")
        self._traced[id(tensor)] = Traced(tensor, number, order)

    def of(self, tensor: object) -> Traced:
        """Return what a tensor holds; `UntraceableError` where that is no part of the images."""
        found = self._traced.get(id(tensor))
        if found is None:
            raise UntraceableError("it computes with constants where the engine expects images")
        return found

    def canonical(self, number: int, images: int = IMAGES) -> Tensor:
        """Return the order of a tensor (images, C, H, W) that is a value as it is."""
        shape = self.shapes[number]
        return torch.arange(images * math.prod(shape)).view(images, *shape)

    def order(self, traced: Traced) -> Tensor:
        """Return the order of what a tensor holds."""
        return self.canonical(traced.number) if traced.order is None else traced.order

    def of_one_image(self, traced: Traced) -> Tensor:
        """Return the order of the first image, without the axis of images; the second must be like it."""
        order = self.order(traced)
        size = math.prod(self.shapes[traced.number])
        first, second = (order[0], order[1]) if order.ndim and len(order) == IMAGES else (order, order)
        expected = torch.where(first == ZERO, ZERO, first + size)
        if len(order) != IMAGES or not torch.equal(expected, second):
            raise UntraceableError("it mixes images of a batch")
        return first

    def is_whole(self, traced: Traced) -> bool:
        """Tell whether a tensor holds each number of its value once, in any order."""
        if traced.order is None:
            return True
        flat = traced.order.flatten()
        return flat.numel() == IMAGES * math.prod(self.shapes[traced.number]) and torch.equal(
            flat.sort().values, torch.arange(flat.numel())
        )

    def whole(self, tensor: Tensor) -> Traced:
        """Return a tensor as a value of which it holds each number once; where need be, as a new one."""
        traced = self.of(tensor)
        if self.is_whole(traced):
            return traced
        number = self.channels_first(traced)
        return Traced(tensor, number, self.canonical(number).reshape(tensor.shape))

    def channels_first(self, traced: Traced) -> int:
        """Return the number of a value that is the tensor (2, C, H, W), or (2, C), as it is."""
        if traced.order is None:
            return traced.number
        first = self.of_one_image(traced)
        while first.ndim < 3:
            first = first[..., None]
        if first.ndim != 3:
            raise UntraceableError(f"it computes with tensors of {first.ndim + 1} dimensions")
        if torch.equal(first, self.canonical(traced.number)[0]):
            return traced.number
        key = traced.number, bytes(str((*first.shape,)), "ascii") + first.numpy().tobytes()
        if key not in self._resolved:
            self._resolved[key] = self._selected(traced.number, first)
        return self._resolved[key]

    def _selected(self, source: int, order: Tensor) -> int:
        """Return a new value (C, H, W) made of channels, rows and columns of another, with zeros around."""
        channels, height, width = self.shapes[source]
        there = order != ZERO
        axes = []
        for axis, numbers in enumerate((order // (height * width), order // width % height, order % width)):
            others = tuple(one for one in range(3) if one != axis)
            axes.append(torch.where(there, numbers, ZERO).amax(others))
        chosen, rows, columns = axes
        grid = (chosen * height * width)[:, None, None] + (rows * width)[:, None] + columns
        outside = (chosen < 0)[:, None, None] | (rows < 0)[:, None] | (columns < 0)
        if not torch.equal(torch.where(outside, ZERO, grid), order):
            raise UntraceableError(
                "it takes numbers of an image apart that are not channels, rows or columns"
            )
        output = self.value(order.shape)
        if order.shape[1:] == (height, width) and not bool((order < 0).any()) and _ascends(rows, columns):
            self.add(Channels(source, output, tuple(chosen.tolist())))
            return output
        strides, padding = zip(_progression(rows, height), _progression(columns, width), strict=True)
        weight = torch.zeros(len(chosen), channels, 1, 1, dtype=torch.float32)
        found = (chosen >= 0).nonzero().flatten()
        weight[found, chosen[found]] = 1.0
        self.add(Convolution("", source, output, weight, *unit(len(chosen)), stride=strides, padding=padding))
        return output

    def of_pixels(self, traced: Traced) -> tuple[Traced, Tensor]:
        """Return a tensor (..., C), and of which pixel each of its rows is: image · height · width + place.

        Every row must hold channels of one pixel. Where these are in another order than in the value, or
        not all of them, they become a value of their own.
        """
        other = "it has a linear layer or a layer norm over something else than channels"
        channels, height, width = self.shapes[traced.number]
        places, order = height * width, self.order(traced)
        rows = order.reshape(-1, order.shape[-1])
        if len(rows) != IMAGES * places:
            raise UntraceableError(other)
        first = rows[:, 0]
        pixels = first // (channels * places) * places + first % (channels * places)
        if rows.shape[1] == channels and torch.equal(rows, first[:, None] + torch.arange(channels) * places):
            if not torch.equal(pixels.sort().values, torch.arange(len(pixels))):
                raise UntraceableError(other)
            return traced, pixels
        images = order.reshape(IMAGES, height, width, -1).permute(0, 3, 1, 2)
        number = self.channels_first(Traced(traced.tensor, traced.number, images))
        found = self.canonical(number).permute(0, 2, 3, 1).reshape(order.shape)
        return Traced(traced.tensor, number, found), torch.arange(len(rows))


def unit(channels: int) -> tuple[Tensor, Tensor]:
    """Return scales and biases (1, channels) that change nothing."""
    scales = torch.ones(1, channels, dtype=torch.float32)
    return scales, torch.zeros_like(scales)


def _place(tensor: Tensor) -> tuple[int, int]:
    return tensor.untyped_storage().data_ptr(), tensor.numel()


def _ascends(*axes: Tensor) -> bool:
    return all(torch.equal(axis, torch.arange(len(axis))) for axis in axes)


def _progression(places: Tensor, size: int) -> tuple[int, int]:
    """Return stride and padding by which a window of one pixel sees these rows or columns in turn.

    `ZERO` stands for a place outside of the source, before its first or behind its last one.
    """
    inside = (places >= 0).nonzero().flatten()
    if not len(inside):
        raise UntraceableError("it pads an image so far that nothing of it is left")
    first, last = int(inside[0]), int(inside[-1])
    stride = int(places[first + 1] - places[first]) if last > first else size
    padding = first * stride - int(places[first])
    seen = torch.arange(len(places)) * stride - padding
    if stride < 1 or not torch.equal(torch.where((seen >= 0) & (seen < size), seen, ZERO), places):
        raise UntraceableError("it takes rows or columns apart that are not evenly spaced")
    return stride, padding

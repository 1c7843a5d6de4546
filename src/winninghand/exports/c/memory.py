"""Where the values of a program lie in one buffer: each only as long as a step still reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from winninghand.engine.program import (
    Affine,
    ChannelNorm,
    Combine,
    Convolution,
    Pointwise,
    Program,
    Shape,
    Step,
    sources_of,
)


@dataclass(frozen=True)
class Memory:
    """The places of values, by number, in floats from the start of the buffer, and the buffer's size."""

    places: Mapping[int, int]
    size: int


@dataclass
class _Space:
    """Room for `size` floats that is taken from the step `first` up to and with the step `last`."""

    size: int
    first: int
    last: int
    place: int = 0

    def meets(self, other: _Space) -> bool:
        return self.first <= other.last and other.first <= self.last


def planned(program: Program) -> Memory:
    """Return a place for each value; what two values need at the same time does not overlap.

    The largest spaces are laid first, each at the lowest place where it fits (Pisarchyk & Lee 2020,
    arXiv:2001.03288: greedy by size).
    """
    spaces = _spaces(program)
    laid: list[_Space] = []
    for space in sorted({id(one): one for one in spaces.values()}.values(), key=lambda one: -one.size):
        for other in sorted((one for one in laid if one.meets(space)), key=lambda one: one.place):
            if space.place + space.size <= other.place:
                break
            space.place = max(space.place, other.place + other.size)
        laid.append(space)
    size = max(space.place + space.size for space in laid)
    return Memory({number: space.place for number, space in spaces.items()}, size)


def _spaces(program: Program) -> dict[int, _Space]:
    """Return the space of each value; where it can, a step writes over a value that is read no more."""
    spaces = {0: _Space(prod(program.shapes[0]), -1, program.last_uses.get(0, -1))}
    for index, step in enumerate(program.steps):
        last = program.last_uses.get(step.output, index)
        sources = sources_of(step)
        for number in _replaceable(step, program.shapes):
            if program.last_uses[number] == index and sources.count(number) == 1:
                spaces[step.output] = spaces[number]
                spaces[number].last = last
                break
        else:
            spaces[step.output] = _Space(prod(program.shapes[step.output]), index, last)
    return spaces


def _replaceable(step: Step, shapes: tuple[Shape, ...]) -> tuple[int, ...]:
    """Return the values that a step's output can lie in the place of: read before they are written over."""
    shape = shapes[step.output]
    if isinstance(step, Convolution):
        found = [] if step.addend is None else [step.addend]
        source = shapes[step.source]
        # One channel of a depthwise convolution is read, and then written no farther than it reached.
        if step.groups == source[0] == shape[0] and prod(shape) <= prod(source):
            found.append(step.source)
        return tuple(found)
    if isinstance(step, Combine):
        return (step.left, step.right) if shapes[step.right] == shape else (step.left,)
    return (step.source,) if isinstance(step, Affine | ChannelNorm | Pointwise) else ()

"""Fewer steps for the same program: norms, additions and activations at the end of the step before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from winninghand.engine.program import (
    Affine,
    Combine,
    Concatenate,
    Convolution,
    Pointwise,
    Pool,
    Program,
    Shape,
    Step,
    sources_of,
)


def fused(steps: Sequence[Step], shapes: Sequence[Shape], output: int) -> Program:
    """Return the program of these steps, with what can be done at the end of another step done there.

    A norm goes into the convolution before it, an addition into the later of two convolutions, an activation
    into what it follows; a border of zeros into the convolution that sees it. Steps that nobody reads go.
    """
    needed = _needed(steps, output)
    uses = Counter(number for step in needed for number in sources_of(step))
    uses[output] += 1
    work = _Work(list(shapes), uses)
    for step in needed:
        work.take(step)
    return _numbered(work.steps, shapes, work.now(output))


class _Work:
    """Steps so far, each value with the step that makes it."""

    def __init__(self, shapes: list[Shape], uses: Counter[int]) -> None:
        self.steps: list[Step] = []
        self._shapes = shapes
        self._uses = uses
        self._same: dict[int, int] = {}
        """Values that are another one."""

    def now(self, number: int) -> int:
        """Return the value that a number of the recording stands for."""
        return self._same.get(number, number)

    def take(self, step: Step) -> None:
        """Add a step, or make the step before it do its work too."""
        step = self._renamed(step)
        if isinstance(step, Pool) and step.kernel == step.stride == (1, 1) and step.padding == (0, 0):
            # The mean of one pixel.
            self._same[step.output] = step.source
            self._uses[step.source] += self._uses[step.output] - 1
            return
        if self._at_the_end(step) or self._addition(step):
            return
        self.steps.append(self._without_border(step) if isinstance(step, Convolution) else step)

    def _renamed(self, step: Step) -> Step:
        changes: dict[str, Any] = {}
        if isinstance(step, Concatenate):
            changes["sources"] = tuple(self.now(number) for number in step.sources)
        for name in ("source", "left", "right"):
            if hasattr(step, name):
                changes[name] = self.now(getattr(step, name))
        return replace(step, **changes)

    def _maker(self, number: int) -> int | None:
        """Return the index of the step that makes a value which nobody else reads; None where others do."""
        if self._uses[number] != 1:
            return None
        return next((index for index, step in enumerate(self.steps) if step.output == number), None)

    def _at_the_end(self, step: Step) -> bool:
        """Do an affine map or an activation at the end of the step that makes its source."""
        if not isinstance(step, Affine | Pointwise):
            return False
        index = self._maker(step.source)
        before = None if index is None else self.steps[index]
        if (
            index is None
            or not isinstance(before, Convolution | Affine | Combine)
            or before.activation is not None
        ):
            return False
        changes: dict[str, Any]
        if isinstance(step, Pointwise):
            changes = {"activation": step.activation}
        elif isinstance(before, Combine) or getattr(before, "addend", None) is not None:
            return False
        else:
            biases = before.biases * step.scales + step.biases
            changes = {"scales": before.scales * step.scales, "biases": biases}
        self.steps[index] = replace(before, output=step.output, **changes)
        return True

    def _addition(self, step: Step) -> bool:
        if not isinstance(step, Combine) or step.kind != "add" or step.left == step.right:
            return False
        if self._shapes[step.left] != self._shapes[step.right]:
            return False
        pairs = ((step.left, step.right), (step.right, step.left))
        makers = [(self._maker(one), other) for one, other in pairs]
        for index, other in sorted(((i, other) for i, other in makers if i is not None), reverse=True):
            before = self.steps[index]
            if isinstance(before, Convolution) and before.activation is None and before.addend is None:
                # Last in the list, where what is added is there too.
                del self.steps[index]
                self.steps.append(replace(before, addend=other, output=step.output))
                return True
        return False

    def _without_border(self, step: Convolution) -> Convolution:
        """Return a convolution that sees the zeros around a value where it saw a value with zeros in it."""
        index = self._maker(step.source)
        before = None if index is None else self.steps[index]
        if index is None or not isinstance(before, Convolution) or before.name or before.stride != (1, 1):
            return step
        inner, outer = self._shapes[before.source], self._shapes[before.output]
        around = [(top, outer[1 + axis] - inner[1 + axis] - top) for axis, top in enumerate(before.padding)]
        is_border = (
            before.weight.shape[2:] == (1, 1)
            and before.addend is None
            and before.activation is None
            and torch.equal(before.weight[:, :, 0, 0], torch.eye(outer[0], inner[0]))
            and inner[0] == outer[0]
            and bool((before.scales == 1).all())
            and not bool(before.biases.any())
            and min(min(pair) for pair in around) >= 0
        )
        if not is_border:
            return step
        del self.steps[index]
        top, left = before.padding
        padding = step.padding[0] + top, step.padding[1] + left
        return replace(step, source=before.source, padding=padding)


def _needed(steps: Sequence[Step], output: int) -> list[Step]:
    needed, found = {output}, []
    for step in reversed(steps):
        if step.output in needed:
            needed.update(sources_of(step))
            found.append(step)
    return found[::-1]


def _numbered(steps: Sequence[Step], shapes: Sequence[Shape], output: int) -> Program:
    """Return the program with its values numbered in the order in which they are made."""
    numbers = {0: 0} | {step.output: index + 1 for index, step in enumerate(steps)}
    made: list[Step] = []
    for step in steps:
        changes: dict[str, Any] = {"output": numbers[step.output]}
        if isinstance(step, Concatenate):
            changes["sources"] = tuple(numbers[one] for one in step.sources)
        for name in ("source", "left", "right", "addend"):
            number = getattr(step, name, None)
            if number is not None:
                changes[name] = numbers[number]
        made.append(replace(step, **changes))
    return Program(tuple(made), tuple(shapes[one] for one in numbers), numbers[output])

"""What a weight costs the engine on this machine, layer by layer: for budgets in milliseconds."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError, checked_whole
from winninghand.cards import Card
from winninghand.engine.program import Convolution, Pool, Program, Shape, Step
from winninghand.engine.running import SparseRunner
from winninghand.engine.tracing import UntraceableError, trace
from winninghand.engine.vectors import LANES
from winninghand.networks import copied

_DENSE, _THIN = 0.2, 0.025
# So many weights at least are in the denser of two layers, where there are as many.
_FEWEST = 4096
_REPEATS = 9


def measure_costs(network: nn.Module, input_size: tuple[int, int], images: int = LANES) -> dict[str, int]:
    """Return picoseconds per weight and image, by the names of a network's convolutions and linear layers.

    For each layer two with random masks are timed in turn, of 20% and of 2.5% of its weights (more in a
    small layer), on one thread and a batch of `images` images of `input_size` (H, W). The cost is the
    difference of the least processor times over that of the weights, at least 1: what one weight more
    takes, without what a layer takes in any case. It holds for this machine, to some percent. A recipe with
    `budget = "engine"` takes the table as `costs`.

    Raises `InputError` for a network that the engine does not run.
    """
    checked_whole("images", images, 1, 4096)
    own = copied(network).cpu()
    with torch.no_grad():
        logits = own.eval()(torch.zeros(1, 3, *input_size))
    classes = [str(number) for number in range(logits.shape[1])]
    try:
        program = trace(Card.from_module(own, classes, input_size), checked=False)
    except UntraceableError as error:
        raise InputError(
            f'the engine cannot run this network ({error}), so that it has no costs; set budget = "macs"'
        ) from None
    first = {id(parameter): name for name, parameter in reversed([*own.named_parameters()])}
    costs: Counter[str] = Counter()
    known: dict[tuple[object, ...], int] = {}
    for step in program.convolutions:
        if step.name:
            shapes = program.shapes[step.source], program.shapes[step.output]
            key = (*shapes, step.weight.shape, step.stride, step.padding, step.dilation, step.groups)
            if key not in known:
                known[key] = _cost(step, *shapes, images)
            costs[first[id(own.get_parameter(step.name))]] += known[key]
    return dict(costs)


def _cost(step: Convolution, source: Shape, output: Shape, images: int) -> int:
    """Return the picoseconds of one weight of a convolution on one image."""
    generator = torch.Generator().manual_seed(0)
    ranks = torch.rand(step.weight.shape, generator=generator).flatten().argsort().view(step.weight.shape)
    size = step.weight.numel()
    most = min(size, max(round(_DENSE * size), _FEWEST))
    least = max(1, round(most * _THIN / _DENSE))
    if most == least:
        return 1
    pixels = np.random.default_rng(0).random((images, *source), dtype=np.float32)
    runners = [SparseRunner(_alone(step, ranks < count, source, output)) for count in (most, least)]
    times: list[list[int]] = [[], []]
    for repeat in range(_REPEATS + 1):
        for runner, found in zip(runners, times, strict=True):
            before = time.thread_time_ns()
            runner.run(pixels)
            if repeat:
                found.append(time.thread_time_ns() - before)
    nanoseconds = min(times[0]) - min(times[1])
    return max(1, round(nanoseconds * 1000 / images / (most - least)))


def _alone(step: Convolution, mask: Tensor, source: Shape, output: Shape) -> Program:
    """Return a program of one convolution with the weights of a mask, and the mean of what it gives."""
    channels, height, width = output
    alone = replace(
        step,
        source=0,
        output=1,
        weight=torch.randn(mask.shape, generator=torch.Generator().manual_seed(1)) * mask,
        scales=torch.ones(1, channels),
        biases=torch.zeros(1, channels),
        addend=None,
        activation=None,
        levels=None,
    )
    steps: tuple[Step, ...] = (alone,)
    if height * width == 1:
        return Program(steps, (source, output), 1)
    mean = Pool("average", 1, 2, (height, width), (height, width))
    return Program((alone, mean), (source, output, (channels, 1, 1)), 2)

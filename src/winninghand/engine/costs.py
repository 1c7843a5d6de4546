"""What a weight costs the engine on this machine, layer by layer: for budgets in milliseconds."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError, checked_whole
from winninghand.cards import Card
from winninghand.engine.layout import Floats
from winninghand.engine.program import Convolution, Pool, Program, Shape, Step
from winninghand.engine.recording import UntraceableError
from winninghand.engine.running import SparseRunner
from winninghand.engine.tracing import trace
from winninghand.engine.vectors import LANES
from winninghand.networks import copied

_DENSE, _THIN = 0.2, 0.025
# So many weights at least are in the denser of two layers, where there are as many.
_FEWEST = 4096
# What fewer multiplications than these take is lost among what else a run does.
_MEASURABLE = 3_000_000
_REPEATS = 15
# A run is repeated until it takes so long, up to a number of times: clock and caller have noise of their own.
_NANOSECONDS, _MOST_RUNS = 2_000_000, 100


def measure_costs(network: nn.Module, input_size: tuple[int, int], images: int = LANES) -> dict[str, int]:
    """Return picoseconds per weight and image, by the names of a network's convolutions and linear layers.

    For each layer two with random masks are timed in turn, of 20% and of 2.5% of its weights (more in a
    small layer), on one thread and a batch of `images` images of `input_size` (H, W). The cost is the
    difference of the least processor times over that of the weights, at least 1: what one weight more
    takes, without what a layer takes in any case. A layer too small to be timed is taken to be as fast as
    the median of the others. The table holds for this machine, to some percent. A recipe with
    `budget = "engine"` takes it as `costs`.

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
    shapes = program.shapes
    pairs = [_Pair(step, shapes[step.source], shapes[step.output]) for step in program.convolutions]
    measurable = min(_MEASURABLE / images, max(pair.multiplications for pair in pairs))
    kinds = {pair.kind: pair for pair in pairs if pair.multiplications >= measurable}
    rates = {kind: pair.picoseconds(images) for kind, pair in kinds.items()}
    usual = median(rates.values())
    first = {id(parameter): name for name, parameter in reversed([*own.named_parameters()])}
    costs: Counter[str] = Counter()
    for pair in pairs:
        if pair.step.name:
            cost = max(1, round(rates.get(pair.kind, usual) * pair.places))
            costs[first[id(own.get_parameter(pair.step.name))]] += cost
    return dict(costs)


@dataclass(frozen=True)
class _Pair:
    """A convolution with more and with fewer weights, to be timed one against the other."""

    step: Convolution
    source: Shape
    output: Shape

    @property
    def kind(self) -> tuple[object, ...]:
        """What two convolutions have in common that take the same time."""
        step = self.step
        form = step.weight.shape, step.stride, step.padding, step.dilation, step.groups
        return (self.source, self.output, *form)

    @property
    def places(self) -> int:
        """At how many places a weight is used."""
        return self.output[1] * self.output[2]

    @property
    def counts(self) -> tuple[int, int]:
        """How many weights there are in each."""
        size = self.step.weight.numel()
        most = min(size, max(round(_DENSE * size), _FEWEST))
        return most, round(most * _THIN / _DENSE)

    @property
    def multiplications(self) -> int:
        """How many more the one has than the other, for one image."""
        most, least = self.counts
        return (most - least) * self.places

    def picoseconds(self, images: int) -> float:
        """Return what one more multiplication takes, in a batch of so many images."""
        ranks = torch.rand(self.step.weight.shape, generator=torch.Generator().manual_seed(0))
        order = ranks.flatten().argsort().argsort().view_as(ranks)
        pixels = np.random.default_rng(0).random((images, *self.source), dtype=np.float32)
        runners = [
            SparseRunner(_alone(self.step, order < count, self.source, self.output)) for count in self.counts
        ]
        runs = [_runs(runner, pixels) for runner in runners]
        times: list[list[float]] = [[], []]
        for _ in range(_REPEATS):
            for runner, number, found in zip(runners, runs, times, strict=True):
                found.append(_nanoseconds(runner, pixels, number) / number)
        nanoseconds = min(times[0]) - min(times[1])
        return max(0.0, nanoseconds * 1000 / images / self.multiplications)


def _runs(runner: SparseRunner, pixels: Floats) -> int:
    """Return how many runs take long enough to be timed; the first, which also compiles, does not count."""
    runner.run(pixels)
    once = _nanoseconds(runner, pixels, 1)
    return max(1, min(_MOST_RUNS, round(_NANOSECONDS / max(once, 1))))


def _nanoseconds(runner: SparseRunner, pixels: Floats, runs: int) -> int:
    """Return the processor's time, which other processes do not lengthen as they do the clock's."""
    before = time.thread_time_ns()
    for _ in range(runs):
        runner.run(pixels)
    return time.thread_time_ns() - before


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

"""The random numbers that tickets are cut from: functions of a seed, a name and a position, never redrawn."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from winninghand.base.errors import InputError, brief, checked_whole
from winninghand.base.randomness import CounterRNG

Distribution = Literal["uniform", "normal", "signs", "int4", "int8"]
DISTRIBUTIONS: tuple[str, ...] = get_args(Distribution)


def draw(
    distribution: Distribution,
    seed: int,
    name: str,
    rows: int,
    width: int,
    density: float = 1.0,
    start: int = 0,
) -> Tensor:
    """Return random numbers, float32 (rows, width), of rows from `start` on.

    A row is the same however many are drawn.

    `uniform` is from [−1, 1), in multiples of 2⁻²³, so that sums of up to 64 products of two are exact in
    double precision; `normal` has mean 0 and standard deviation 1; `signs` are −1 and 1; `int4` and `int8`
    are whole numbers from −8 to 7, and from −128 to 127. Of a source that is masked at random each number is
    there with the probability `density`, and 0 otherwise (Gadhikar et al. 2023, arXiv:2210.02412).

    Raises `InputError` for another distribution, and for a density outside (0, 1].
    """
    if distribution not in DISTRIBUTIONS:
        raise InputError(f"a source is one of {', '.join(DISTRIBUTIONS)}, not {brief(distribution)}")
    if not 0 < density <= 1:
        raise InputError(f"the density of a source must be above 0 and at most 1, not {brief(density)}")
    indices = torch.arange(start, start + rows)
    streams = CounterRNG(f"theory, seed {checked_whole('seed', seed)}: {name}", indices)
    if distribution == "normal":
        numbers = streams.normal(width)
    else:
        numbers = streams.uniform(width).mul_(2).sub_(1)
        if distribution == "signs":
            numbers = torch.where(numbers < 0, -1.0, 1.0)
        elif distribution != "uniform":
            numbers = numbers.mul_(8 if distribution == "int4" else 128).floor_()
    if density < 1:
        numbers *= CounterRNG(f"theory, seed {seed}: mask of {name}", indices).uniform(width) < density
    return numbers

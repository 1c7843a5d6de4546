"""What is said where a bound is above the one that was asked for: which layers are far, and what would do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from winninghand.base.errors import InputError
from winninghand.theory.certificate import Certificate
from winninghand.theory.construction import built
from winninghand.theory.layers import Target
from winninghand.theory.planning import check_memory, planned, random_weights
from winninghand.theory.propagation import norms_of
from winninghand.theory.subset_sums import MOST_SAMPLES
from winninghand.theory.widths import Kind, Width

# Steps of a search for what would do, some seconds long.
_AFFORDABLE = 2**31
# Layers that are named, at most, and the least share of one, by that of the worst.
_NAMED, _MINOR = 3, 0.05


def missed(
    target: Target,
    certificate: Certificate,
    widths: Mapping[int, Width],
    epsilon: float,
    seed: int,
    kind: Kind,
    direct: frozenset[int],
) -> str:
    """Return what to say of a ticket whose bound is above epsilon; may take as long as it took to find it."""
    remedy = _remedy(target, certificate, widths, epsilon, seed, kind, direct)
    shares = certificate.shares()
    worst = sorted(
        zip(target.layers, certificate.layers, strict=True), key=lambda pair: -shares[pair[0].output]
    )
    named = [
        f"{layer.name} ({report.samples} samples for each of {report.targets:,} weights, the farthest "
        f"{report.largest_error:.2g} away)"
        for layer, report in worst[:_NAMED]
        if shares[layer.output] >= _MINOR * shares[worst[0][0].output]
    ]
    if kind == "integers":
        return f"a level of the target is no sum of its samples, in {', '.join(named)}; {remedy}"
    return (
        f"no mask of this random network is proved within {epsilon:g}, but within {certificate.bound:.3g}, "
        f"by errors of {', '.join(named)}; {remedy}"
    )


def _remedy(
    target: Target,
    certificate: Certificate,
    widths: Mapping[int, Width],
    epsilon: float,
    seed: int,
    kind: Kind,
    direct: frozenset[int],
) -> str:
    """Return what would do, tried where that takes seconds."""
    count = max(width.samples for width in widths.values())
    norms = norms_of(target)
    try:
        # As many as are taken by default; where more than can be searched are, this says so.
        chosen = planned([target], [norms], epsilon, kind, None, direct)
        least = max(count + 1, *(width.samples for width in chosen.values()))
    except InputError as error:
        return str(error)
    for samples in _more(least, kind, certificate.bound / epsilon * count):
        wider = planned([target], [norms], epsilon, kind, samples, direct)
        try:
            check_memory(target, wider, direct)
        except InputError:
            break
        if _steps(target, wider, kind, direct) > _AFFORDABLE:
            return f"about {samples:,} samples for each weight should do; give samples={samples}"
        if Certificate(target, built(target, wider, kind, seed, direct), norms).bound <= epsilon:
            return f"samples={samples} would do"
    return "more samples do not help; raise epsilon, or take a target of fewer layers or smaller weights"


def _more(least: int, kind: Kind, linear: float) -> Iterator[int]:
    """Yield numbers of samples to try; binary ones are needed in proportion to 1/ε, `linear` by estimate."""
    if kind == "binary":
        yield least
        yield math.ceil(max(1.1 * least, linear))
        yield math.ceil(max(1.5 * least, 1.5 * linear))
        return
    yield from range(min(least, MOST_SAMPLES), MOST_SAMPLES + 1, 3)
    if (MOST_SAMPLES - least) % 3:
        yield MOST_SAMPLES


def _steps(target: Target, widths: Mapping[int, Width], kind: Kind, direct: frozenset[int]) -> float:
    """Return about how many steps a search takes."""
    weights = random_weights(target, widths, direct)
    steps = 0.0
    for layer in target.layers:
        samples = widths[layer.output].samples
        subsets = weights[layer.output] / samples * 2.0 ** (samples / 2) if kind != "binary" else 0.0
        steps += weights[layer.output] + subsets
    return steps

"""A target's ticket: a random network, and the mask under which it does what the target does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from winninghand.base.errors import InputError, brief, checked_whole
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.engine.program import Program
from winninghand.engine.recording import UntraceableError
from winninghand.engine.tracing import trace, trace_module
from winninghand.theory.certificate import Certificate
from winninghand.theory.construction import built
from winninghand.theory.copies import DEPTHS, Block, Depth, blocks_of, direct_layers
from winninghand.theory.decomposition import target_of
from winninghand.theory.layers import Layer, Target
from winninghand.theory.network import MaskedNetwork
from winninghand.theory.propagation import norms_of
from winninghand.theory.subset_sums import MOST_SAMPLES
from winninghand.theory.widths import (
    KINDS,
    Kind,
    Width,
    integer_samples,
    mean_errors,
    sign_samples,
    uniform_samples,
    width_of,
)


@dataclass(frozen=True, eq=False)
class Ticket:
    """A random network under a mask, and what is proved of it.

    `network` maps images (N, C, H, W) in [0, 1] to logits (N, classes). It was drawn once, from `seed`;
    nothing in it is trained. `bound` is the most by which any of its logits is away from the target's, at any
    image in the box [0, 1]^d, in exact arithmetic (see `certificate`). `kept` is the fraction of the random
    weights that the mask keeps. `widths` are the sizes of the random network, layer by layer.
    """

    network: MaskedNetwork
    certificate: Certificate
    seed: int
    epsilon: float
    kind: Kind
    widths: tuple[Width, ...]
    depth: Depth = "2L"

    @property
    def bound(self) -> float:
        """The proved supremum of the error of the logits over all images in [0, 1]."""
        return self.certificate.bound

    @property
    def kept(self) -> float:
        """Fraction of the random network's weights and biases that are kept."""
        layers = self.certificate.layers
        return sum(layer.kept for layer in layers) / sum(layer.weights for layer in layers)

    def __repr__(self) -> str:
        weights = sum(layer.weights for layer in self.certificate.layers)
        return (
            f"Ticket({self.kind}, seed {self.seed}, {weights:,} random weights, kept {self.kept:.1%}, "
            f"bound {self.bound:.2g})"
        )


def embed(
    target: Card | nn.Module | Program,
    epsilon: float = 0.01,
    seed: int = 0,
    kind: Kind = "float",
    samples: int | None = None,
    input_shape: Sequence[int] | None = None,
    depth: Depth = "2L",
) -> Ticket:
    """Return the ticket of a target: one random network, and the mask under which it gives the same logits.

    The target is a card, or another classifier of inputs of `input_shape`, without the batch, in [0, 1], or
    the engine's program of one. The ticket's logits are proved to be within `epsilon` of its own at every
    input in [0, 1]. Every layer of the target becomes two random ones: depth 2L (Pensia et al. 2020,
    arXiv:2006.07990). With `depth="L+1"` only layers that see the image do; the others see each value in
    copies, and have no hidden layer (Burkholz 2022, arXiv:2205.02321): fewer layers, and more random weights,
    by about the number of samples. Random weights are uniform in [−1, 1] times a power of two per layer, by
    which that layer's weights are at most ½, or for `kind="binary"` signs times one number per layer. With
    `kind="integers"` the random weights are whole numbers, and reach a quantized card's levels exactly (Kumar
    & Natale 2025, arXiv:2508.11020); its scales, biases and norms stay its own, and the bound is nought. The
    width is a function of target and epsilon (see `widths`), chosen before anything is drawn; `samples` says
    instead how many random products each weight is made of. The network is drawn once, and not again.

    Raises `InputError` for a target with other steps than layers, sums, pools and activations that do not
    raise differences (named), for one of which no ticket of depth L + 1 is known, for an epsilon that is not
    above 0, for a random network beyond this machine's memory, before it is drawn, and where no subset comes
    near enough: with the layers and the samples that would.
    """
    epsilon, seed = check_asked(epsilon, seed, kind, depth)
    wanted = target_of(program_of(target, input_shape), levels=kind == "integers")
    direct = direct_layers(wanted, depth)
    norms: dict[int, float] | None = None
    if samples is not None:
        samples = checked_whole("samples", samples, 1, 2**20 if kind == "binary" else MOST_SAMPLES)
        needed = {layer.output: samples for layer in wanted.layers}
    elif kind == "integers":
        needed = {layer.output: integer_samples(layer) for layer in wanted.layers}
    else:
        norms = norms_of(wanted)
        needed = _needed(wanted, kind, mean_errors(wanted, epsilon, norms, kind, direct))
    widths = _widths(wanted, kind, needed, samples, direct)
    check_memory(wanted, widths, direct)
    network = built(wanted, widths, kind, seed, direct)
    certificate = Certificate(wanted, network, norms)
    if not certificate.bound <= epsilon:
        raise InputError(_missed(wanted, certificate, epsilon, kind, widths, direct))
    return Ticket(network, certificate, seed, epsilon, kind, tuple(widths.values()), depth)


def check_asked(epsilon: float, seed: int, kind: str, depth: str = "2L") -> tuple[float, int]:
    """Return epsilon and seed; `InputError` where no ticket can be asked for by these."""
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon < float("inf"):
        raise InputError(f"epsilon must be a number above 0, not {brief(epsilon)}")
    if kind not in KINDS:
        raise InputError(f"the kind of a ticket is one of {', '.join(KINDS)}, not {brief(kind)}")
    if depth not in DEPTHS:
        raise InputError(f"the depth of a ticket is one of {', '.join(DEPTHS)}, not {brief(depth)}")
    return float(epsilon), checked_whole("seed", seed)


def program_of(target: Card | nn.Module | Program, input_shape: Sequence[int] | None = None) -> Program:
    """Return the steps of a target; `InputError`, with the reason, where it is no list of such steps."""
    if isinstance(target, Program):
        return target
    if not isinstance(target, nn.Module) or isinstance(target, Deck):
        raise InputError(f"the target must be a card or another module, not {type(target).__name__}")
    if not isinstance(target, Card) and not _is_shape(input_shape):
        raise InputError(
            "a module says nothing of its inputs; give input_shape, such as (784,) or (1, 28, 28), or make a "
            "card of it by Card.from_module"
        )
    try:
        return trace(target) if isinstance(target, Card) else trace_module(target, input_shape or ())
    except UntraceableError as error:
        raise InputError(f"the target cannot be taken apart: {error}") from None


def _is_shape(given: object) -> bool:
    if not isinstance(given, Sequence) or not 1 <= len(given) <= 3:
        return False
    return all(isinstance(one, int) and one >= 1 for one in given)


def _needed(target: Target, kind: Kind, errors: dict[int, float]) -> dict[int, int]:
    """Return the samples that each weight of each layer is made of, by the layer's output."""
    needed = {}
    for layer in target.layers:
        if kind == "binary":
            needed[layer.output] = sign_samples(errors[layer.output], int(layer.weight.count_nonzero()))
        else:
            needed[layer.output] = uniform_samples(errors[layer.output])
    beyond = {
        layer.name: needed[layer.output] for layer in target.layers if needed[layer.output] > MOST_SAMPLES
    }
    if beyond and kind == "float":
        name, most = max(beyond.items(), key=lambda one: one[1])
        raise InputError(
            f"a bound this small takes {most} samples for each weight of {name}, of which the best subset is "
            f"sought among {MOST_SAMPLES} at most; raise epsilon by the factor "
            f"{2.0 ** min(most - MOST_SAMPLES, 1000):.3g}, or take a target of fewer layers or smaller "
            "weights"
        )
    return needed


def _widths(
    target: Target, kind: Kind, needed: Mapping[int, int], samples: int | None, direct: frozenset[int]
) -> dict[int, Width]:
    """Return the width of each layer, by its output."""
    widths = {}
    for layer in target.layers:
        copies = MOST_SAMPLES if direct and layer.output != target.program.output else 1
        widths[layer.output] = width_of(
            layer, kind, needed[layer.output], samples, copies, layer.output in direct
        )
    return widths


def check_memory(target: Target, widths: dict[int, Width], direct: frozenset[int]) -> None:
    """Raise `InputError` where the random network does not fit into half of this machine's memory."""
    blocks = blocks_of(target, widths, direct)
    weights = {layer.output: _weights(layer, widths[layer.output], blocks) for layer in target.layers}
    total = sum(weights.values())
    # A single-precision number and its mask; of layers that see copies the certificate has absolute values,
    # too, in double precision, and squares one of them at a time.
    absolute = [weights[number] for number in direct]
    size = 5 * total + 8 * sum(absolute) + 16 * max(absolute, default=0)
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return
    if size > memory / 2:
        widest = max(target.layers, key=lambda layer: weights[layer.output])
        raise InputError(
            f"the random network would have {total:,} weights and take {size / 2**30:,.1f} GiB, more than "
            f"half of this machine's {memory / 2**30:,.1f} GiB; most are for {widest.name}, with "
            f"{widths[widest.output].samples:,} samples for each weight; raise epsilon, or take a smaller "
            "target"
        )


def _weights(layer: Layer, width: Width, blocks: Sequence[Block]) -> int:
    outputs, _, height, columns = layer.weight.shape
    outputs *= blocks[layer.output].size
    inputs = width.hidden or layer.inputs * blocks[layer.source].size
    return layer.groups * width.hidden * (layer.inputs + 1) + outputs * (inputs * height * columns + 1)


def _missed(
    target: Target,
    certificate: Certificate,
    epsilon: float,
    kind: Kind,
    widths: dict[int, Width],
    direct: frozenset[int],
) -> str:
    """Return what to say where the bound is above epsilon: how far, by which layers, and what would do."""
    if kind == "integers":
        return (
            "a level of the target is no sum of its samples; give more samples, such as samples="
            f"{min(MOST_SAMPLES, max(width.samples for width in widths.values()) + 4)}"
        )
    known = _needed(target, kind, mean_errors(target, epsilon, norms_of(target), kind, direct))
    enough = _widths(target, kind, known, None, direct)
    needed = {number: width.samples for number, width in enough.items()}
    short = [
        f"{layer.name} ({widths[layer.output].samples} samples for each of {report.targets:,} weights, "
        f"the farthest {report.largest_error:.2g} away, where {needed[layer.output]} would do)"
        for layer, report in zip(target.layers, certificate.layers, strict=True)
        if needed[layer.output] > widths[layer.output].samples
    ]
    most = max(width.samples for width in widths.values())
    where = "; ".join(short) or f"by little in every layer; samples={most + 2} would do"
    found = f"{certificate.bound:.3g}"
    return f"no mask of this random network is proved within {epsilon:g}, but within {found}: {where}"

"""A target's ticket: a random network, and the mask under which it does what the target does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real

from torch import nn

from winninghand.base.errors import InputError, brief, checked_whole, counted
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.engine.program import Program
from winninghand.engine.recording import UntraceableError
from winninghand.engine.tracing import trace, trace_module
from winninghand.theory.certificate import Certificate
from winninghand.theory.construction import built
from winninghand.theory.copies import DEPTHS, Depth, direct_layers
from winninghand.theory.decomposition import target_of
from winninghand.theory.layers import LIPSCHITZ, Layer, LayerStep, Target, sources_of_step
from winninghand.theory.network import MaskedNetwork
from winninghand.theory.planning import check_memory, planned
from winninghand.theory.propagation import norms_of
from winninghand.theory.remedies import missed
from winninghand.theory.subset_sums import MOST_SAMPLES
from winninghand.theory.widths import KINDS, Kind, Width, weight_scales


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

    @property
    def rescaled(self) -> dict[str, float]:
        """By the names of layers with weights beyond the theorems' ½: the power of two that rescales them.

        Their random numbers are up to that power, and not up to 1. Signs and whole numbers have none.
        """
        widths = zip(self.certificate.layers, self.widths, strict=True)
        return {
            layer.name: width.scale for layer, width in widths if self.kind == "float" and width.scale > 1
        }

    def __repr__(self) -> str:
        weights = sum(layer.weights for layer in self.certificate.layers)
        beyond = f", {counted(len(self.rescaled), 'layer')} rescaled" if self.rescaled else ""
        return (
            f"Ticket({self.kind}, seed {self.seed}, {weights:,} random weights, kept {self.kept:.1%}, "
            f"bound {self.bound:.2g}{beyond})"
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

    Layers whose weights are beyond ½ are rescaled: `ticket.rescaled` names them.

    Raises `InputError` for a target with other steps than layers, sums, pools and activations that do not
    raise differences (named), for one of which no ticket of depth L + 1 is known, for an epsilon that is not
    above 0, for a random network beyond this machine's memory, before it is drawn, and where no subset comes
    near enough: with the layers and the samples that would.
    """
    (ticket,) = tickets_of([program_of(target, input_shape)], epsilon, seed, kind, samples, depth)
    return ticket


def tickets_of(
    programs: Sequence[Program], epsilon: float, seed: int, kind: Kind, samples: int | None, depth: Depth
) -> list[Ticket]:
    """Return tickets of all these targets in one random network, whose weights they share."""
    epsilon, seed = check_asked(epsilon, seed, kind, depth)
    if samples is not None:
        samples = checked_whole("samples", samples, 1, 2**20 if kind == "binary" else MOST_SAMPLES)
    targets = of_one_network([target_of(one, levels=kind == "integers") for one in programs])
    direct = direct_layers(targets[0], depth)
    norms = [norms_of(target) for target in targets]
    widths = planned(targets, norms, epsilon, kind, samples, direct)
    check_memory(targets[0], widths, direct, len(targets))
    tickets: list[Ticket] = []
    for target, own in zip(targets, norms, strict=True):
        shared = tickets[0].network if tickets else None
        network = built(target, widths, kind, seed, direct, shared=shared)
        certificate = Certificate(target, network, own)
        if not certificate.bound <= epsilon:
            raise InputError(missed(target, certificate, widths, epsilon, seed, kind, direct))
        tickets.append(Ticket(network, certificate, seed, epsilon, kind, tuple(widths.values()), depth))
    return tickets


def of_one_network(targets: Sequence[Target]) -> list[Target]:
    """Return targets of one form, with scales for all of them; `InputError` where their forms differ."""
    if len(targets) == 1:
        return list(targets)
    forms = [[_form(step) for step in target.steps] for target in targets]
    if any(form != forms[0] for form in forms):
        raise InputError(
            "the cards are not of one network, with the same steps, norms and biases; embed them one by one: "
            "deck.cards"
        )
    scales: dict[int, tuple[float, float]] = {}
    for target in targets:
        for layer in target.layers:
            scale, constant_scale = weight_scales(layer)
            largest, constant = scales.get(layer.output, (0.0, 0.0))
            # The second is over the first.
            together = max(largest, scale)
            constant = max(constant * largest, constant_scale * scale) / together
            scales[layer.output] = together, constant
    return [
        replace(
            target,
            steps=tuple(
                replace(step, scales=scales[step.output]) if isinstance(step, Layer) else step
                for step in target.steps
            ),
        )
        for target in targets
    ]


def _form(step: LayerStep) -> tuple[object, ...]:
    """Return what steps of targets must have in common, so that one random network stands for them."""
    if not isinstance(step, Layer):
        return type(step), sources_of_step(step), step.output
    geometry = step.shape, step.output_shape, step.stride, step.padding, step.dilation, step.groups
    values = step.source, step.output, step.addend
    return tuple(step.weight.shape), step.constant, step.signed, geometry, values


def check_asked(epsilon: float, seed: int, kind: str, depth: str = "2L") -> tuple[float, int]:
    """Return epsilon and seed; `InputError` where no ticket can be asked for by these."""
    if isinstance(epsilon, bool) or not isinstance(epsilon, Real) or not 0 < epsilon < float("inf"):
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
    if isinstance(target, Deck):
        raise InputError(
            "a deck is several targets; take wh.theory.embed_deck, or embed its cards one by one: deck.cards"
        )
    if not isinstance(target, nn.Module):
        raise InputError(f"the target must be a card or another module, not {type(target).__name__}")
    if not isinstance(target, Card) and not _is_shape(input_shape):
        raise InputError(
            "a module says nothing of its inputs; give input_shape, such as (784,) or (1, 28, 28), or make a "
            "card of it by Card.from_module"
        )
    try:
        return trace(target) if isinstance(target, Card) else trace_module(target, input_shape or ())
    except UntraceableError as error:
        raise InputError(
            f"the target cannot be taken apart: {error}; known are layers, norms, sums, pools and the "
            f"activations {', '.join(LIPSCHITZ)}"
        ) from None


def _is_shape(given: object) -> bool:
    if not isinstance(given, Sequence) or not 1 <= len(given) <= 3:
        return False
    return all(isinstance(one, int) and one >= 1 for one in given)

"""How much each weight matters to a network that need not be trained: SNIP, GraSP, SynFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from winninghand.base.device import evaluation_mode
from winninghand.base.errors import InputError
from winninghand.compression.masks import Batch

Scores = dict[str, Tensor]
"""One value for each prunable weight: the larger, the more the weight matters."""

TEMPERATURE = 200
"""GraSP divides logits by it, so that no output is certain (the authors' code)."""
# The rank of a score of 0: below every other that float32 can tell from it.
_LEAST = 1e-20


def snip(
    network: nn.Module, weights: Mapping[str, nn.Parameter], batches: Sequence[Batch], seed: int
) -> Scores:
    """Return |w · ∂L/∂w|, what the loss L feels of a weight (Lee et al. 2019, arXiv:1810.02340).

    L is the cross-entropy of all batches, in training mode. The network is left as it was.
    """
    with _training(network, seed):
        leaves = _leaves(network, weights)
        total = _sum(_gradients(network, leaves, weights, batch) for batch in batches)
    return {name: (leaves[name] * total[name]).detach().abs() for name in weights}


def grasp(
    network: nn.Module, weights: Mapping[str, nn.Parameter], batches: Sequence[Batch], seed: int
) -> Scores:
    """Return w · Hg, what the gradient's flow loses with a weight (Wang et al. 2020, arXiv:2002.07376).

    g is the gradient and H the Hessian of the cross-entropy of all batches, its logits divided by 200, in
    training mode. A negative score says that the flow grows where the weight goes. The network is left as
    it was.
    """
    with _training(network, seed), sdpa_kernel(SDPBackend.MATH):  # others have no second derivative
        leaves = _leaves(network, weights)
        total = _sum(_gradients(network, leaves, weights, batch, TEMPERATURE) for batch in batches)
        products = []
        for batch in batches:
            part = _gradients(network, leaves, weights, batch, TEMPERATURE, again=True)
            flow = torch.stack([(part[name] * total[name]).sum() for name in weights]).sum()
            products.append(_derivatives(flow, {name: leaves[name] for name in weights}))
        product = _sum(products)
    return {name: (leaves[name] * product[name]).detach() for name in weights}


def synflow(
    network: nn.Module,
    weights: Mapping[str, nn.Parameter],
    shape: Sequence[int],
    kept: Mapping[str, Tensor] | None,
) -> Scores:
    """Return |w| · ∂R/∂|w|, float64: what flows through a weight (Tanaka et al. 2020, arXiv:2006.05467).

    R is the sum of the outputs for an image of ones of `shape` (channels, H, W), every parameter
    replaced by its magnitude and what is not `kept` by 0. Batch-norms pass on what they get, as in a new
    network. No images are needed. R of a deep network is a number beyond float32.
    """
    device = next(iter(weights.values())).device
    device = torch.device("cpu") if device.type == "mps" else device  # which has no float64
    values = {}
    for name, value in _tensors(network).items():
        magnitude = value.detach().to(device)
        values[name] = magnitude.double().abs() if magnitude.is_floating_point() else magnitude.clone()
        if name.endswith("running_mean"):
            values[name].zero_()
        elif name.endswith("running_var"):
            values[name].fill_(1)
    for name in weights:
        if kept is not None:
            values[name] = values[name] * kept[name].to(device)
        values[name].requires_grad_()
    with torch.inference_mode(False), torch.enable_grad(), evaluation_mode(network):
        image = torch.ones(1, *shape, dtype=torch.float64, device=device)
        try:
            flow = functional_call(network, values, (image,)).sum()
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"synflow runs the network in float64, which it does not take: {reason}"
            ) from None
        slopes = _derivatives(flow, {name: values[name] for name in weights})
    return {name: (values[name] * slopes[name]).detach().to(weights[name].device) for name in weights}


def ranks(scores: Scores, weights: Mapping[str, nn.Parameter]) -> Scores:
    """Return float32 values, from 0 to 1, whose squares are in proportion to the scores above 0.

    A budget ranks by squares (a weight that costs twice as much needs a score twice as high). Scores below 0
    come last, in their order. Raises `InputError` where a score is not finite.
    """
    for name, score in scores.items():
        if not bool(torch.isfinite(score).all()):
            raise InputError(f"the scores of {name!r} are not finite: the network's outputs are too large")
    top = max(float(score.max()) for score in scores.values())
    bottom = -min(float(score.min()) for score in scores.values())
    found = {}
    for name, score in scores.items():
        wide = score.double()
        above = (wide.clamp(min=0) / (top if top > 0 else 1)).sqrt().clamp(min=2 * _LEAST)
        below = _LEAST * (1 - 0.5 * (-wide).clamp(min=0) / (bottom if bottom > 0 else 1))
        # Laid out in memory like the weight, so that all passes over both are fast.
        like = torch.empty_like(weights[name], dtype=torch.float32, requires_grad=False)
        found[name] = like.copy_(torch.where(wide > 0, above, below))
    return found


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name, those that are shared once."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _leaves(network: nn.Module, weights: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return copies of all tensors of a network, of which `weights` have gradients; halves become float32."""
    values = {name: _wide(value.detach().clone()) for name, value in _tensors(network).items()}
    for name in weights:
        values[name].requires_grad_()
    return values


def _wide(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() and value.element_size() < 4 else value


def _gradients(
    network: nn.Module,
    values: dict[str, Tensor],
    weights: Mapping[str, nn.Parameter],
    batch: Batch,
    temperature: float = 1.0,
    again: bool = False,
) -> Scores:
    """Return the gradients of a batch's summed cross-entropy, to be derived again where told."""
    leaf = values[next(iter(weights))]
    images, labels = (tensor.to(leaf.device) for tensor in batch)
    outputs = functional_call(network, values, (images.to(leaf.dtype),))
    loss = functional.cross_entropy(outputs / temperature, labels, reduction="sum")
    return _derivatives(loss, {name: values[name] for name in weights}, again)


def _derivatives(value: Tensor, leaves: Mapping[str, Tensor], again: bool = False) -> Scores:
    """Return the derivative by each leaf, 0 where it takes no part."""
    slopes = torch.autograd.grad(
        value, list(leaves.values()), create_graph=again, allow_unused=True, materialize_grads=True
    )
    return dict(zip(leaves, slopes, strict=True))


def _sum(parts: Iterator[Scores] | Sequence[Scores]) -> Scores:
    total: Scores = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total[name] + value.detach() if name in total else value.detach()
    return total


@contextmanager
def _training(network: nn.Module, seed: int) -> Iterator[None]:
    """Put a network into training mode for a while, with gradients, and random numbers of its own."""
    resting = [part for part in network.modules() if not part.training]
    device = next(network.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network.train()
        try:
            with torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            for part in resting:
                part.training = False

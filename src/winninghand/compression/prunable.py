"""Which weights of a network a budget is spent on, and what each of them costs."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from winninghand.base.errors import InputError
from winninghand.networks.entering import computed_weight
from winninghand.networks.size import count_macs

# The bases of all convolutions: nn.Conv1d … nn.ConvTranspose3d derive from this one class.
_CONVOLUTION = nn.modules.conv._ConvNd
_ATTENTION_PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def prunable_weights(module: nn.Module, exclude: Collection[str] = ()) -> dict[str, nn.Parameter]:
    """Return the prunable weights of `module` by name, in the order of its modules.

    They are the weights of convolutions of any kind, of linear layers and of attention
    projections; biases, norms and embeddings are not. A weight shared by two modules is listed
    once, under its first name; a frozen one (`requires_grad` false) is not prunable. `exclude`
    names modules or weights to leave out, with all that lies below them.

    Raises `InputError` when nothing is left, when a name in `exclude` does not occur, and for a weight
    that is computed from other parameters (`weight_norm`, for instance): it would go unpruned. It warns
    of a convolution or linear layer that has no `weight` at all.
    """
    _check_names(module, exclude)
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for path, part in module.named_modules():
        for weight_name in weight_names(part):
            weight = getattr(part, weight_name, None)
            name = f"{path}.{weight_name}" if path else weight_name
            if not isinstance(weight, nn.Parameter):
                computed = isinstance(weight, Tensor) and weight_name not in part._buffers
                if computed and not _excluded(name, exclude):
                    raise computed_weight(path, part, weight_name)
                if weight is None and weight_name == "weight" and not _excluded(name, exclude):
                    warnings.warn(
                        f"the layer {path!r} has no parameter 'weight'; what it computes with is not pruned",
                        stacklevel=2,
                    )
                continue
            if id(weight) in seen:
                continue
            seen.add(id(weight))
            if weight.requires_grad and not _excluded(name, exclude):
                found[name] = weight
    if not found:
        raise InputError(
            "the network has no prunable weights: none of its convolutions and linear layers is trainable "
            "and left in"
        )
    return found


def weight_names(part: nn.Module) -> tuple[str, ...]:
    """Return the names of the prunable weights that a module may own itself."""
    if isinstance(part, nn.MultiheadAttention):
        return _ATTENTION_PROJECTIONS
    if isinstance(part, _CONVOLUTION | nn.Linear | nn.Bilinear):
        return ("weight",)
    return ()


def find_head(weights: Mapping[str, nn.Parameter], classes: int | None) -> nn.Parameter | None:
    """Return the head's weight among prunable ones: the last with one output per class.

    Without the number of classes it is the last weight of all. None where no weight fits.
    """
    fitting = [weight for weight in weights.values() if classes is None or weight.shape[0] == classes]
    return fitting[-1] if fitting else None


def weight_costs(
    network: nn.Module, weights: Mapping[str, nn.Parameter], size: tuple[int, int]
) -> dict[str, int]:
    """Return the multiply-accumulates per weight of each layer, for one image of `size` (H, W).

    For a convolution that is the number of places it is applied at. A weight that two modules
    share costs what both of them do; one that no counted layer uses costs 1.
    """
    macs = count_macs(network, size)
    costs: Counter[int] = Counter()
    for path, part in network.named_modules():
        owned = [weight for name in weight_names(part) if (weight := getattr(part, name, None)) is not None]
        for weight in owned:
            costs[id(weight)] += round(macs.get(path, 0) / sum(other.numel() for other in owned))
    return {name: max(costs[id(weight)], 1) for name, weight in weights.items()}


Link = tuple[Mapping[str, Any], str, object]


def links_to(module: nn.Module, weights: Mapping[str, nn.Parameter]) -> list[Link]:
    """Return where the weights hang: each table of a module's parts or parameters on the way to one."""
    watched = {id(weight) for weight in weights.values()}

    def below(part: nn.Module) -> Iterator[Link]:
        for name, parameter in part._parameters.items():
            if id(parameter) in watched:
                yield part._parameters, name, parameter
        for name, child in part._modules.items():
            if child is not None and (found := list(below(child))):
                yield part._modules, name, child
                yield from found

    return list(below(module))


def _excluded(name: str, exclude: Collection[str]) -> bool:
    return any(name == left_out or name.startswith(f"{left_out}.") for left_out in exclude)


def _check_names(module: nn.Module, exclude: Collection[str]) -> None:
    known = {name for name, _ in module.named_modules()} | {name for name, _ in module.named_parameters()}
    for name in exclude:
        if name not in known:
            raise InputError(f"cannot leave out {name!r}: the network has no module or weight of that name")

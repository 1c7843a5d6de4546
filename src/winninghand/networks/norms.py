"""The norms of a network, and the rest of it, its body."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from winninghand.networks.entering import copied

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""Batch and instance norms, layer, group and root-mean-square norms, and what is derived from them."""


def norm_names(network: nn.Module) -> frozenset[str]:
    """Return the names, in the network's state, of all weights, biases and statistics of norms."""
    return frozenset(
        f"{path}.{name}".lstrip(".")
        for path, part in network.named_modules(remove_duplicate=False)
        if isinstance(part, NORMS)
        for name, tensor in (*part._parameters.items(), *part._buffers.items())
        if tensor is not None and name not in part._non_persistent_buffers_set
    )


def body_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a network by name, but for those of its norms."""
    norms = norm_names(network)
    return {name: tensor for name, tensor in _state(network).items() if name not in norms}


def with_norms_of_its_own(network: nn.Module) -> nn.Module:
    """Return a copy of a network whose body is the very same tensors; its norms are copies."""
    return copied(network, kept=body_tensors(network).values())


def tie(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Make these tensors, by name, those of a network, in place."""
    for name, tensor in tensors.items():
        path, _, leaf = name.rpartition(".")
        part = network.get_submodule(path)
        (part._parameters if isinstance(tensor, nn.Parameter) else part._buffers)[leaf] = tensor  # type: ignore[assignment]


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {
        **dict(network.named_parameters(remove_duplicate=False)),
        **dict(network.named_buffers(remove_duplicate=False)),
    }

"""The one gate at which every network enters: what is taken, what is brought into shape, what is refused."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.parametrize import is_parametrized
from torch.optim.swa_utils import AveragedModel

from winninghand.base.device import channels_last_pays, device_of, evaluation_mode
from winninghand.base.errors import InputError, with_article
from winninghand.networks.catalog import Architecture

_WRAPPERS = (nn.parallel.DistributedDataParallel, nn.DataParallel, AveragedModel)
_COMPILED = "_orig_mod"
_WEIGHTS = ("weight", "bias", "in_proj_weight", "in_proj_bias")


def entering(module: nn.Module, size: tuple[int, int] | None = None, classes: int | None = None) -> nn.Module:
    """Return the network in a module, in float32, with plain parameters and finite values.

    The module itself stays as it is. It is returned where nothing about it has to change, else a copy:

    - wrappers are taken off at any depth (DataParallel, DistributedDataParallel, `AveragedModel`,
      `torch.compile`), so that names are the network's own;
    - masks of `torch.nn.utils.prune` become zeros in the weights;
    - floats of other widths become float32; tensors that two layers share stay shared;
    - with `size` (H, W) and `classes` it is tried on two images, and outputs of other forms become
      logits (see `as_logits`).

    Raises `InputError`, one line, for other parametrizations, lazy layers, tensors without values, sparse
    or complex ones, an extra state, values that are not finite, negative variances, and a network
    that does not map images (N, 3, H, W) to one logit per class.
    """
    network = plain(module)
    check_tensors(network)
    if any(_is_other_float(tensor) or tensor.is_inference() for _, tensor in _tensors(network)):
        network = (copied(network) if network is unwrapped(module) else network).float()
    check_values(network.state_dict())
    return network if size is None or classes is None else giving_logits(network, size, classes)


def plain(module: nn.Module) -> nn.Module:
    """Return the network in a module without wrappers and hooks of pruning; see `entering`."""
    if not isinstance(module, nn.Module):
        raise InputError(f"a network must be a torch.nn.Module, not {_named(module)}")
    network = unwrapped(module)
    if any(map(_is_wrapper, network.modules())) or prune.is_pruned(network):
        network = copied(network)
        _unwrap_below(network)
        bake_masks(network)
    check_parametrizations(network)
    return network


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the module that torch's own wrappers are around."""
    while _is_wrapper(module):
        module = module.get_submodule(_COMPILED if _COMPILED in module._modules else "module")
    return module


def bake_masks(module: nn.Module) -> None:
    """Make the masks of `torch.nn.utils.prune` zeros in the weights, in place; parameters stay the same."""
    for part in module.modules():
        for hook in list(part._forward_pre_hooks.values()):
            if isinstance(hook, prune.BasePruningMethod):
                prune.remove(part, hook._tensor_name)


def check_parametrizations(module: nn.Module) -> None:
    """Raise `InputError` that names a layer whose weight is computed from other parameters."""
    for name, part in module.named_modules():
        if is_parametrized(part):
            raise computed_weight(name, part, next(iter(part.parametrizations)))
        found = next((one for one in _WEIGHTS if isinstance(vars(part).get(one), Tensor)), None)
        if found is not None:
            raise computed_weight(name, part, found)


def computed_weight(name: str, part: nn.Module, weight: str) -> InputError:
    """Return the error for a weight of the layer `name` that is computed from other parameters."""
    by = _hook_of(part, weight)
    if is_parametrized(part, weight):
        by = type(part.parametrizations[weight][0]).__name__.lstrip("_")  # type: ignore[index]
    return InputError(
        f"{_joined(name, weight)!r} is computed by {by}, a parametrization; make it a plain parameter: "
        "by remove_parametrizations or remove_weight_norm of torch.nn.utils, or by the pruner's finish()"
    )


def check_tensors(module: nn.Module) -> None:
    """Raise `InputError` that names a tensor of the network's state which a card cannot hold."""
    for name, tensor in _tensors(module):
        check_tensor(name, tensor)
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            raise InputError(f"{name!r} is {_named(value)}, an extra state; only tensors can be kept")


def check_tensor(name: str, tensor: Tensor) -> None:
    """Raise `InputError` unless a tensor has values, and they are dense and real."""
    if nn.parameter.is_lazy(tensor):
        raise InputError(f"{name!r} belongs to a lazy layer; run the network once on images first")
    if tensor.is_meta:
        raise InputError(f"{name!r} is on the device 'meta' and has no values; load the weights first")
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized:
        raise InputError(f"{name!r} is {tensor.dtype}, {tensor.layout}; make it dense and real first")


def check_values(tensors: Mapping[str, Tensor]) -> None:
    """Raise `InputError` that names a tensor with a value that is not finite, or a negative variance."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            # One sum is enough where it is finite; where it is not, it may have overflowed.
            if not bool(tensor.sum().isfinite()) and not bool(tensor.isfinite().all()):
                raise InputError(f"{name!r} holds values that are NaN or infinite")
            if name.endswith("running_var") and bool((tensor < 0).any()):
                raise InputError(f"{name!r} holds a negative variance")


def giving_logits(network: nn.Module, size: tuple[int, int], classes: int) -> nn.Module:
    """Return the network, made to give logits (N, classes): see `entering`."""
    height, width = size
    images = torch.zeros(2, 3, height, width, dtype=torch.float32, device=device_of(network))
    try:
        with evaluation_mode(network), torch.no_grad():
            found = network(images)
    except Exception as error:  # whatever a caller's network raises
        raise InputError(
            f"the network cannot take images of {height} × {width}, float32 (N, 3, {height}, {width}): "
            f"{type(error).__name__}, {error}"
        ) from error
    logits = as_logits(found)
    if logits.shape != (2, classes):
        raise InputError(
            f"the network must map 2 images to logits of shape (2, {classes}), one per class, "
            f"not {(*logits.shape,)}"
        )
    if logits is found:
        return network
    network = copied(network)
    network.register_forward_hook(_reduce)
    return network


def as_logits(outputs: object) -> Tensor:
    """Return the logits (N, classes) among what a network gives.

    They are the `logits` of an object or a mapping that has them (`ImageClassifierOutput`), the first of a
    tuple or list, or a tensor itself; (N, classes, 1, 1) loses its ones. Raises `InputError` for the rest,
    and for numbers that are not floating point.
    """
    if isinstance(outputs, Tensor):
        if not outputs.is_floating_point():
            raise InputError(
                f"the network must give floating-point logits, one per class, not {outputs.dtype}"
            )
        return outputs.flatten(1) if outputs.ndim > 2 and set(outputs.shape[2:]) == {1} else outputs
    if isinstance(getattr(outputs, "logits", None), Tensor):
        return as_logits(outputs.logits)  # type: ignore[attr-defined]
    if isinstance(outputs, Mapping) and "logits" in outputs:
        return as_logits(outputs["logits"])
    if isinstance(outputs, tuple | list) and outputs:
        return as_logits(outputs[0])
    raise InputError(f"the network must give logits, one per class, not {_named(outputs)} without 'logits'")


def copied(module: nn.Module, kept: Iterable[Tensor] = ()) -> nn.Module:
    """Return a deep copy, made of tensors that can be trained; those that are `kept` are not copied.

    What cannot be copied, such as a lock, is shared; tensors that were computed are detached.
    """
    memo: dict[int, Any] = {id(tensor): tensor for tensor in kept}
    with torch.inference_mode(False), torch.no_grad():
        try:
            return copy.deepcopy(module, dict(memo))
        except Exception:  # whatever an attribute's own way of being copied raises
            return copy.deepcopy(module, _shared(module) | memo)


def _shared(module: nn.Module) -> dict[int, Any]:
    """Return by identity what a copy takes instead of copies that cannot be made."""
    attributes = [
        value
        for part in module.modules()
        for key, value in vars(part).items()
        if key not in ("_parameters", "_buffers", "_modules")
    ]
    computed = {id(value): value.detach().clone() for value in attributes if isinstance(value, Tensor)}
    failing = [value for value in attributes if not _can_be_copied(value, computed)]
    # An attribute may fail only because of another that it refers to, as a method to its module.
    return computed | {
        id(value): value
        for value in failing
        if not _can_be_copied(value, computed | {id(one): one for one in failing if one is not value})
    }


def _can_be_copied(value: object, memo: Mapping[int, object]) -> bool:
    try:
        copy.deepcopy(value, dict(memo))
    except Exception:
        return False
    return True


def _reduce(_: nn.Module, __: object, outputs: object) -> Tensor:
    return as_logits(outputs)


def _is_wrapper(module: nn.Module) -> bool:
    return isinstance(module, _WRAPPERS) or _COMPILED in module._modules


def _unwrap_below(module: nn.Module) -> None:
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = unwrapped(child)
            _unwrap_below(unwrapped(child))


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _is_other_float(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype != torch.float32


def _hook_of(part: nn.Module, weight: str) -> str:
    hooks = part._forward_pre_hooks.values()
    return next((type(hook).__name__ for hook in hooks if getattr(hook, "name", None) == weight), "a hook")


def _joined(*names: str) -> str:
    return ".".join(name for name in names if name)


def _named(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else with_article(type(value).__name__)


_SAFE_CHANNELS = 16


def takes_channels_last(network: nn.Module, device: torch.device) -> bool:
    """Say whether a network on a device is to see its images, and hold its weights, channels-last.

    Networks of the catalog do, and others where their own weights lie so: `x.view(len(x), -1)`, which many
    have, cannot take it. None does on a device where it does not pay, nor on a CPU with a layer for which
    it is not safe (see `has_unsafe_layer`).
    """
    if not channels_last_pays(device) or (device.type == "cpu" and has_unsafe_layer(network)):
        return False
    known = isinstance(getattr(network, "architecture", None), Architecture)
    return known or any(map(_lies_channels_last, network.parameters()))


def laid_out(images: Tensor, network: nn.Module) -> Tensor:
    """Return images (N, 3, H, W) in a layout that a network takes: as they are, or contiguous."""
    if images.is_contiguous() or takes_channels_last(network, device_of(network)):
        return images
    return images.contiguous()


def has_unsafe_layer(network: nn.Module) -> bool:
    """Say whether the backward pass of a layer corrupts the heap of a CPU where it runs channels-last.

    Such a layer is a convolution with a 1×1 kernel, a stride above 1 and fewer than 16 input channels.
    In float32 on a CPU with AVX-512, oneDNN's kernel for its backward pass writes where it must not:
    `Conv2d(8, 32, 1, stride=2)` on a batch of 8 images of 112 × 112 aborts, with PyTorch 2.13.0 and
    2.14.1. Under glibc's checks 1 to 15 input channels fail from 80 × 80, and with 8 output channels from
    56 × 56. Contiguous images, bf16, 16 input channels, other kernels and `ONEDNN_MAX_CPU_ISA=AVX2`
    never failed. Groups and larger strides were not seen to fail either, but are too rare to except.
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and set(layer.kernel_size) == {1}
        and max(layer.stride) > 1
        and layer.in_channels // layer.groups < _SAFE_CHANNELS
        for layer in network.modules()
    )


def _lies_channels_last(weight: Tensor) -> bool:
    # A tensor of 1×1 kernels or of one channel lies both ways.
    return (
        weight.ndim == 4
        and weight.is_contiguous(memory_format=torch.channels_last)
        and not weight.is_contiguous()
    )

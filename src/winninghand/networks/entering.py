"""The one gate at which every network enters: what is taken, what is refused; long, since it is one."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.parametrize import is_parametrized
from torch.optim.swa_utils import AveragedModel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from winninghand.base.device import channels_last_pays, device_of, evaluation_mode
from winninghand.base.errors import InputError, with_article
from winninghand.networks.catalog import Architecture, preprocessing_of

_WRAPPERS = (nn.parallel.DistributedDataParallel, nn.DataParallel, AveragedModel)
# By name: to import them takes a second.
_SHARDED = ("FullyShardedDataParallel", "FSDPModule")
_COMPILED = "_orig_mod"
_WEIGHTS = ("weight", "bias", "in_proj_weight", "in_proj_bias")


def entering(
    module: nn.Module,
    size: tuple[int, int] | None = None,
    classes: int | None = None,
    trained: bool = False,
) -> nn.Module:
    """Return the network in a module, in float32, with plain parameters and finite values.

    The module itself stays as it is. It is returned where nothing about it has to change, else a copy:

    - wrappers are taken off at any depth (DataParallel, DistributedDataParallel, `AveragedModel`,
      `torch.compile`), so that names are the network's own;
    - masks of `torch.nn.utils.prune` become zeros in the weights;
    - floats of other widths become float32; tensors that two layers share stay shared;
    - with `size` (H, W) and `classes` it is tried on one image and on two, and outputs of other forms
      become logits (see `as_logits`); with `trained` in training mode too, for what is to be trained.

    Raises `InputError`, one line, for other parametrizations, a `forward` that is not of the module's
    class, lazy layers, tensors without values, sparse or complex ones, an extra state, values that are
    not finite, negative variances, and a network that does not map images (N, 3, H, W) to one logit per
    class, or whose copy still computes with tensors of the original.
    """
    network = plain(module)
    check_tensors(network)
    if any(_is_other_float(tensor) or tensor.is_inference() for _, tensor in _tensors(network)):
        network = (copied(network) if network is unwrapped(module) else network).float()
    check_values(network.state_dict())
    if size is None or classes is None:
        return network
    network = giving_logits(network, size, classes)
    return checked_training(network, size, classes) if trained else network


def plain(module: nn.Module) -> nn.Module:
    """Return the network in a module without wrappers and hooks of pruning; see `entering`."""
    if not isinstance(module, nn.Module):
        raise InputError(f"a network must be a torch.nn.Module, not {_named(module)}")
    check_whole(module)
    network = unwrapped(module)
    _check_tree(network)
    check_forward(network)
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


def check_whole(module: nn.Module) -> None:
    """Raise `InputError` for a network of whose weights each process has a part alone (FSDP)."""
    for part in module.modules():
        if any(kind.__name__ in _SHARDED for kind in type(part).__mro__):
            raise InputError(
                "the network is sharded by FSDP: a process has a part of its weights, and pruning ranks all "
                "of them at once; use DistributedDataParallel, or winninghand train --devices N"
            )


def _check_tree(module: nn.Module) -> None:
    """Raise `InputError` for a module that holds itself: the names of its state have no end."""
    parts = {part: [one for one in part._modules.values() if one is not None] for part in module.modules()}
    try:
        TopologicalSorter(parts).prepare()
    except CycleError as error:
        raise InputError(
            f"{_named(error.args[1][0])} in the network holds itself; keep the reference elsewhere, "
            "such as in a list"
        ) from None


def check_forward(module: nn.Module) -> None:
    """Raise `InputError` for a `forward` that was set on a module and is no method of it.

    A function keeps computing with the module that it was made for, also when it is held by a copy.
    """
    for name, part in module.named_modules():
        own = vars(part).get("forward")
        follows = own is None or (isinstance(own, MethodType) and own.__self__ is part)
        if not (follows or _is_wrapper(part)):
            raise InputError(
                f"{_joined(name, 'forward')!r} was set on the module and would not follow a copy of it; "
                "take it off (del module.forward): forward belongs in the class; module.compile() compiles"
            )


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
    if type(tensor) is not Tensor and nn.Parameter not in type(tensor).__mro__:
        raise InputError(
            f"{name!r} is of the class {type(tensor).__name__}; make it a plain tensor or parameter"
        )
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
    with evaluation_mode(network), torch.no_grad():
        found = [_tried(network, size, classes, count) for count in (2, 1)]
    return network if all(isinstance(one, Tensor) and one.ndim == 2 for one in found) else _reduced(network)


def checked_training(network: nn.Module, size: tuple[int, int], classes: int) -> nn.Module:
    """Return the network, made to give logits (N, classes) in training as well, by a try on a copy of it.

    Raises `InputError` where it cannot be trained: it gives other outputs in training, none that depend on
    its weights, or the copy computes with tensors of the original.
    """
    copy_of_it = copied(network).train()
    device = device_of(network)
    cuda = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=cuda),
        torch.inference_mode(False),
        torch.enable_grad(),
        _Watched(network, copy_of_it),
    ):
        found = _tried(copy_of_it, size, classes, 2, " in training")
    if not as_logits(found).requires_grad and any(one.requires_grad for one in network.parameters()):
        raise InputError(
            "the network's outputs do not depend on its weights, as far as gradients can tell; take "
            "no_grad and detach out of its forward"
        )
    return network if isinstance(found, Tensor) and found.ndim == 2 else _reduced(network)


def check_outputs(network: nn.Module, size: tuple[int, int], classes: int) -> None:
    """Raise `InputError` unless the network, as it stands, gives one logit per class of an image."""
    with evaluation_mode(network), torch.no_grad():
        _tried(network, size, classes, 1)


class _Watched(TorchDispatchMode):
    """Refuses operations of a copy of a network that read a tensor of the network itself."""

    def __init__(self, network: nn.Module, copy_of_it: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        shared = {_storage(tensor) for _, tensor in _tensors(copy_of_it)}
        self._names = {
            _storage(tensor): name for name, tensor in _tensors(network) if _storage(tensor) not in shared
        }

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 (torch's)
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, Tensor) and (name := self._names.get(_storage(value))):
                raise InputError(
                    f"a copy of the network would still compute with {name!r} of the network itself, by a "
                    "hook or a function that refers to it; let forward reach its weights through self only"
                )
        return function(*args, **(kwargs or {}))


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.numel() else id(tensor)


def _tried(network: nn.Module, size: tuple[int, int], classes: int, count: int, when: str = "") -> object:
    """Return what a network gives for `count` images; `InputError` unless there are logits in it."""
    height, width = size
    floats = (one.dtype for one in network.parameters() if one.is_floating_point())
    images = torch.zeros(count, 3, *size, dtype=next(floats, torch.float32), device=device_of(network))
    try:
        found = network(images)
    except InputError:
        raise
    except Exception as error:  # whatever a caller's network raises
        meant = preprocessing_of(network)
        own = (
            "; its images can be brought to another size (--size, in a recipe images.size)"
            if meant is None
            else f"; its own size is {meant.size[0]} × {meant.size[1]}" * (meant.size != size)
        )
        raise InputError(
            f"the network cannot take images of {height} × {width}, {str(images.dtype)[6:]} "
            f"({count}, 3, {height}, {width}){when}: {type(error).__name__}, {error}{own}"
        ) from error
    logits = as_logits(found)
    if logits.shape != (count, classes):
        raise InputError(
            f"the network must map {count} image{'s' * (count > 1)} to logits of shape ({count}, {classes})"
            f"{when}, one per class, not {(*logits.shape,)}"
        )
    return found


def _reduced(network: nn.Module) -> nn.Module:
    """Return a copy of a network that gives the logits among its outputs."""
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

    What cannot be copied, such as a lock, is shared; tensors that were computed are detached. Raises
    `InputError` for a `forward` that would not follow the copy (see `check_forward`).
    """
    check_forward(module)
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
    architecture = getattr(network, "architecture", None)
    known = isinstance(architecture, Architecture) and ":" not in architecture.name
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

"""Batch norms folded into the convolutions before them, in a copy of a network.

A tracer of `torch.fx` would find them too. But while it runs it puts functions of its own into
`torch.nn.Module`: networks of other threads fail at that time, and ever after where two trace at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from winninghand.networks.entering import copied

_FOLDED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}

# By these a network's way may depend on the images, and another one than the one seen.
_QUESTIONS = (Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__, Tensor.item, Tensor.tolist)


def folded_norms(network: nn.Module, images: Tensor) -> nn.Module:
    """Return a copy of a network, in evaluation mode, with batch norms folded into convolutions.

    A norm is folded where a convolution's output goes to it and nowhere else, and both run once for `images`
    (N, 3, H, W). In a network that asks for values as it runs, none is.
    """
    network = copied(network).eval()
    pairs = _Watch(network).pairs(images)
    for convolution, norm in pairs:
        one = cast("nn.Conv2d", network.get_submodule(convolution))
        other = cast("nn.BatchNorm2d", network.get_submodule(norm))
        _put(network, convolution, fuse_conv_bn_eval(one, other))
        _put(network, norm, nn.Identity())
    return network


class _Watch(TorchFunctionMode):
    """Sees what each convolution of a network gives, and who uses it; other threads are not watched."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network
        self._asked = False
        self._uses: Counter[int] = Counter()
        self._runs: Counter[str] = Counter()
        # By the identity of a tensor, which is kept so that no later one gets the same.
        self._outputs: dict[int, tuple[str, Tensor]] = {}
        self._pairs: dict[str, Tensor] = {}

    def pairs(self, images: Tensor) -> list[tuple[str, str]]:
        """Return the paths of each convolution and of the norm that alone uses its output."""
        paths = {part: path for path, part in self._network.named_modules()}
        hooks = [part.register_forward_pre_hook(self._before(path)) for part, path in paths.items()]
        hooks += [part.register_forward_hook(self._after(path)) for part, path in paths.items()]
        with self:
            self._network(images)
        for hook in hooks:
            hook.remove()
        return [] if self._asked else [pair for pair in self._candidates() if self._folds(*pair)]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 (whatever the function gives)
        """Run a function, and note which tensors it makes others of."""
        result = func(*args, **(kwargs or {}))
        self._asked |= func in _QUESTIONS
        if any(isinstance(one, Tensor) for one in tree_leaves(result)):
            self._uses.update(id(one) for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor))
        return result

    def _before(self, path: str) -> Callable[..., None]:
        def hook(_: nn.Module, given: tuple[Any, ...]) -> None:
            self._runs[path] += 1
            known = self._outputs.get(id(given[0])) if len(given) == 1 else None
            if known is not None:
                self._pairs[path] = known[1]

        return hook

    def _after(self, path: str) -> Callable[..., None]:
        def hook(part: nn.Module, _: object, output: Tensor) -> None:
            if type(part) in _FOLDED:
                self._outputs[id(output)] = path, output
                # An earlier tensor, which is no more, may have had the same identity.
                self._uses[id(output)] = 0

        return hook

    def _candidates(self) -> list[tuple[str, str]]:
        return [(self._outputs[id(one)][0], norm) for norm, one in self._pairs.items()]

    def _folds(self, convolution: str, norm: str) -> bool:
        part, other = map(self._network.get_submodule, (convolution, norm))
        known = isinstance(other, nn.modules.batchnorm._BatchNorm) and other.running_var is not None
        return (
            known
            and type(other) is _FOLDED[type(part)]
            and self._runs[convolution] == self._runs[norm] == 1
            and self._uses[id(self._pairs[norm])] == 1
        )


def _put(network: nn.Module, path: str, part: nn.Module) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(network.get_submodule(parent), leaf, part)

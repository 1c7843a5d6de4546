"""From a network to a program: what it does to two images is recorded, operation by operation.

Long, since each operation has its few lines. The recorder sees ATen's operations on real tensors, in this
thread only. It keeps for each tensor which value of the program it holds, and in which order: views, such
as a transposition or a flattening, are done to the order alone, and come to nothing where a later operation
sees channels, rows and columns again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from winninghand.base.device import device_of, evaluation_mode
from winninghand.cards import Card
from winninghand.cards.player import adaptation_of
from winninghand.engine.fusing import fused
from winninghand.engine.program import (
    Activation,
    ActivationName,
    Affine,
    ChannelNorm,
    Channels,
    Combine,
    Concatenate,
    Convolution,
    Levels,
    Pointwise,
    Pool,
    Program,
    Shape,
    Step,
    interpret,
)
from winninghand.networks import as_logits, laid_out
from winninghand.networks.entering import copied

_IMAGES = 2
_ZERO = -1  # in an order: no number of the value, but a zero of padding

# How far a program may be from the network: this, or as much of the largest logit; and of small logits no
# more than a hundredth, lest any program fit a network that gives next to nothing.
TOLERANCE = 1e-4


class UntraceableError(Exception):
    """A network that is no list of the steps that a program knows; says why, in half a sentence."""


class _Traced(NamedTuple):
    """What a tensor holds: the value, and for each number its place in it, (2, C, H, W) flattened.

    Without an order it is the value as it is. The tensor itself is kept, so that its identity stays its own.
    """

    tensor: Tensor
    number: int
    order: Tensor | None


def trace(card: Card, checked: bool = True) -> Program:
    """Return the program of a card: normalisation and network, for images of its input size.

    The program refers to the card's own weights. Raises `UntraceableError`, with the reason, for operations
    that no step stands for, for a network that decides by the values it sees, and where program and network
    do not give the same logits for other images: whoever leaves that unchecked, checks what runs the program.
    """
    if adaptation_of(card) is not None:
        raise UntraceableError("its batch norms adapt to each batch")
    network = card.network if card.device.type == "cpu" else copied(card.network).cpu()
    mean, std = card.normalisation.mean.cpu(), card.normalisation.std.cpu()
    scales = {name: scale.cpu() for name, scale in card.scales.items()}

    def logits(images: Tensor) -> Tensor:
        return as_logits(network(laid_out((images - mean) / std, network)))

    return _recorded(network, logits, (3, *card.input_size), scales, checked)


def trace_module(module: nn.Module, input_shape: Sequence[int], checked: bool = True) -> Program:
    """Return the program of a classifier that is no card, for inputs of this shape, without the batch.

    The shape has one to three dimensions, such as (784,) or (1, 28, 28). Raises `UntraceableError` as `trace`
    does.
    """
    network = module if device_of(module).type == "cpu" else copied(module).cpu()
    return _recorded(network, lambda inputs: as_logits(network(inputs)), input_shape, {}, checked)


def _recorded(
    network: nn.Module,
    logits: Callable[[Tensor], Tensor],
    input_shape: Sequence[int],
    scales: Mapping[str, Tensor],
    checked: bool,
) -> Program:
    if {one.dtype for one in network.parameters() if one.is_floating_point()} - {torch.float32}:
        raise UntraceableError("its weights are not float32")
    recorder = _Recorder(network, scales)
    generator = torch.Generator().manual_seed(0)
    with (
        evaluation_mode(network),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast("cpu", enabled=False),
    ):
        images = torch.rand(_IMAGES, *input_shape, generator=generator, dtype=torch.float32)
        recorder.begin(images)
        try:
            with recorder:
                outputs = logits(images)
            program = recorder.program(outputs)
        except UntraceableError:
            raise
        except Exception as error:  # what an operation of an unforeseen form leads to
            reason = str(error).strip().partition("\n")[0]
            raise UntraceableError(
                f"the engine could not follow it ({type(error).__name__}: {reason})"
            ) from error
        if checked:
            others = torch.rand(_IMAGES + 1, *input_shape, generator=generator, dtype=torch.float32)
            found = interpret(program, others.reshape(len(others), *program.input_shape))
            check_alike(found, logits(others))
    return program


def check_alike(found: Tensor, expected: Tensor) -> None:
    """Raise `UntraceableError` where logits are not those of the network itself."""
    if found.shape != expected.shape:
        raise UntraceableError("what it computes depends on the number of images")
    if not bool(expected.isfinite().all()):
        raise UntraceableError("its logits are NaN or infinite")
    if not bool(found.isfinite().all()):
        raise UntraceableError("its logits would be NaN or infinite, and PyTorch's are not")
    distance = float((found - expected).abs().max())
    largest = float(expected.abs().max())
    if not distance <= min(TOLERANCE * max(1.0, largest), 100 * TOLERANCE * largest + 1e-7):
        raise UntraceableError(f"its logits would be {distance:.2g} away from PyTorch's")


class _Recorder(TorchDispatchMode):
    """Makes steps of the operations that are done to the images while it is entered."""

    def __init__(self, network: nn.Module, scales: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._names = {_place(one): name for name, one in network.named_parameters(remove_duplicate=False)}
        self._scales = scales
        self._steps: list[Step] = []
        self._shapes: list[Shape] = []
        self._traced: dict[int, _Traced] = {}
        self._resolved: dict[tuple[int, bytes], int] = {}
        self._stale: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell torch that it need not import its compiler, which takes seconds."""
        return False

    def begin(self, images: Tensor) -> None:
        """Take these images as value 0; of fewer than three dimensions, the last ones are 1 there."""
        shape = images.shape[1:]
        number = self._value([*shape, 1, 1][: max(3, len(shape))])
        order = None if len(shape) == 3 else self._canonical(number).reshape(images.shape)
        self._holds(images, number, order)

    def program(self, outputs: Tensor) -> Program:
        """Return what was recorded, up to these logits (2, classes)."""
        if id(outputs) not in self._traced:
            raise UntraceableError("its logits do not depend on the images")
        number = self._channels_first(self._traced[id(outputs)])
        return fused(self._steps, self._shapes, number)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 (torch's)
        kwargs = kwargs or {}
        touched = [one for one in tree_leaves((args, kwargs)) if id(one) in self._traced]
        name = function._schema.name.removeprefix("aten::")
        if not touched:
            if torch.Tag.nondeterministic_seeded in function.tags:
                raise UntraceableError(f"it draws random numbers ({name})")
            return function(*args, **kwargs)
        if any(id(one) in self._stale for one in touched):
            raise UntraceableError("it reads by one name what it changed in place by another")
        in_place = name.endswith("_") and not name.endswith("__")
        record = _RECORDERS.get(name.removesuffix("_") if in_place else name)
        if record is None or "out" in kwargs:
            raise UntraceableError(f"the engine does not know the operation {name}")
        result = function(*args, **kwargs)
        record(self, _arguments(function, args, kwargs), result)
        if in_place:
            memory = args[0].untyped_storage().data_ptr()
            self._stale.update(
                key
                for key, one in self._traced.items()
                if one.tensor is not args[0] and one.tensor.untyped_storage().data_ptr() == memory
            )
        return result

    # Values, and what tensors hold

    def _value(self, shape: Sequence[int]) -> int:
        self._shapes.append((int(shape[0]), int(shape[1]), int(shape[2])))
        return len(self._shapes) - 1

    def _holds(self, tensor: Tensor, number: int, order: Tensor | None = None) -> None:
        if tensor.dtype != torch.float32:
            raise UntraceableError(f"it computes in {str(tensor.dtype).removeprefix('torch.')}")
        self._traced[id(tensor)] = _Traced(tensor, number, order)

    def _of(self, tensor: object) -> _Traced:
        found = self._traced.get(id(tensor))
        if found is None:
            raise UntraceableError("it computes with constants where the engine expects images")
        return found

    def _canonical(self, number: int, images: int = _IMAGES) -> Tensor:
        shape = self._shapes[number]
        return torch.arange(images * math.prod(shape)).view(images, *shape)

    def _order(self, traced: _Traced) -> Tensor:
        return self._canonical(traced.number) if traced.order is None else traced.order

    def _of_one_image(self, traced: _Traced) -> Tensor:
        """Return the order of the first image, without the axis of images; the second must be like it."""
        order = self._order(traced)
        size = math.prod(self._shapes[traced.number])
        first, second = (order[0], order[1]) if order.ndim and len(order) == _IMAGES else (order, order)
        expected = torch.where(first == _ZERO, _ZERO, first + size)
        if len(order) != _IMAGES or not torch.equal(expected, second):
            raise UntraceableError("it mixes images of a batch")
        return first

    def _is_whole(self, traced: _Traced) -> bool:
        """Tell whether a tensor holds each number of its value once, in any order."""
        if traced.order is None:
            return True
        flat = traced.order.flatten()
        return flat.numel() == _IMAGES * math.prod(self._shapes[traced.number]) and torch.equal(
            flat.sort().values, torch.arange(flat.numel())
        )

    def _channels_first(self, traced: _Traced) -> int:
        """Return the number of a value that is the tensor (2, C, H, W), or (2, C), as it is."""
        if traced.order is None:
            return traced.number
        first = self._of_one_image(traced)
        while first.ndim < 3:
            first = first[..., None]
        if first.ndim != 3:
            raise UntraceableError(f"it computes with tensors of {first.ndim + 1} dimensions")
        if torch.equal(first, self._canonical(traced.number)[0]):
            return traced.number
        key = traced.number, bytes(str((*first.shape,)), "ascii") + first.numpy().tobytes()
        if key not in self._resolved:
            self._resolved[key] = self._selected(traced.number, first)
        return self._resolved[key]

    def _selected(self, source: int, order: Tensor) -> int:
        """Return a new value (C, H, W) made of channels, rows and columns of another, with zeros around."""
        channels, height, width = self._shapes[source]
        there = order != _ZERO
        axes = []
        for axis, numbers in enumerate((order // (height * width), order // width % height, order % width)):
            others = tuple(one for one in range(3) if one != axis)
            axes.append(torch.where(there, numbers, _ZERO).amax(others))
        chosen, rows, columns = axes
        grid = (chosen * height * width)[:, None, None] + (rows * width)[:, None] + columns
        outside = (chosen < 0)[:, None, None] | (rows < 0)[:, None] | (columns < 0)
        if not torch.equal(torch.where(outside, _ZERO, grid), order):
            raise UntraceableError(
                "it takes numbers of an image apart that are not channels, rows or columns"
            )
        output = self._value(order.shape)
        if order.shape[1:] == (height, width) and not bool((order < 0).any()) and _ascends(rows, columns):
            self._steps.append(Channels(source, output, tuple(chosen.tolist())))
            return output
        strides, padding = zip(_progression(rows, height), _progression(columns, width), strict=True)
        weight = torch.zeros(len(chosen), channels, 1, 1, dtype=torch.float32)
        found = (chosen >= 0).nonzero().flatten()
        weight[found, chosen[found]] = 1.0
        self._steps.append(
            Convolution("", source, output, weight, *_unit(len(chosen)), stride=strides, padding=padding)
        )
        return output

    # Constants

    def _per_channel(self, constant: Tensor | float, traced: _Traced, shape: torch.Size) -> Tensor:
        """Return a constant that is combined with a tensor as one number per channel, float64 (C,)."""
        channels, height, width = self._shapes[traced.number]
        if not isinstance(constant, Tensor):
            return torch.full((channels,), float(constant), dtype=torch.float64)
        spread = constant.to(torch.float64).expand(shape)
        numbers = torch.empty(_IMAGES * channels * height * width, dtype=torch.float64)
        numbers[self._order(traced).flatten()] = spread.flatten()
        rows = numbers.view(_IMAGES, channels, height * width)
        if not torch.equal(rows, rows[:1, :, :1].expand(rows.shape)):
            raise UntraceableError("it adds or multiplies constants that are not one per channel")
        return rows[0, :, 0]

    def _levels(self, name: str, weight: Tensor) -> Levels | None:
        """Return a weight as whole levels, where it is some."""
        flat = weight.flatten(1)
        scale = self._scales.get(name)
        if scale is None:
            scale = flat.abs().amax(1)
        levels = (flat / torch.where(scale == 0, 1.0, scale)[:, None]).round()
        if not torch.equal(levels * scale[:, None] + 0.0, flat + 0.0) or float(levels.abs().max()) > 127:
            return None
        return Levels(
            levels.view_as(weight).to(torch.int8), scale.to(torch.float32), bool((levels.abs() <= 1).all())
        )

    # Operations: each takes its arguments by name, and the tensor that came out

    def view(self, given: dict[str, Any], result: Tensor) -> None:
        traced = self._of(given["self"])
        self._holds(result, traced.number, self._order(traced).reshape(result.shape))

    def same(self, given: dict[str, Any], result: Tensor) -> None:
        traced = self._of(given["self"])
        self._holds(result, traced.number, traced.order)

    def restrided(self, given: dict[str, Any], result: Tensor) -> None:
        """Take strides that are other numbers for the same order, as pooling makes them for channels-last."""
        traced = self._of(given["self"])
        usual = torch.empty(result.shape).stride()
        told = zip(given["size"], given["stride"], usual, strict=True)
        if [*given["size"]] != [*self._order(traced).shape] or any(
            size > 1 and stride != one for size, stride, one in told
        ):
            raise UntraceableError("it takes numbers of an image by strides")
        self._holds(result, traced.number, traced.order)

    def reordered(self, given: dict[str, Any], result: Tensor | Sequence[Tensor]) -> None:
        traced = self._of(given["self"])
        function, args, kwargs = given["function"], list(given["args"]), given["kwargs"]
        found = function(self._order(traced), *args[1:], **kwargs)
        if isinstance(result, Tensor):
            self._holds(result, traced.number, found)
        else:
            for one, order in zip(result, found, strict=True):
                self._holds(one, traced.number, order)

    def pad(self, given: dict[str, Any], result: Tensor) -> None:
        traced = self._of(given["self"])
        if given["value"] != 0:
            raise UntraceableError("it pads with other numbers than zero")
        order = torch.nn.functional.pad(self._order(traced), given["pad"], value=_ZERO)
        self._holds(result, traced.number, order)

    def convolution(self, given: dict[str, Any], result: Tensor) -> None:
        weight, bias = given["weight"], given["bias"]
        if given["transposed"] or weight.ndim != 4 or id(weight) in self._traced:
            raise UntraceableError(
                "the engine knows convolutions of images by constants, not transposed ones"
            )
        source = self._channels_first(self._of(given["input"]))
        output = self._value(result.shape[1:])
        self._convolve(
            weight,
            bias,
            source,
            output,
            weight.detach().contiguous(),
            stride=_pair(given["stride"]),
            padding=_pair(given["padding"]),
            dilation=_pair(given["dilation"]),
            groups=given["groups"],
        )
        self._holds(result, output)

    def _convolve(
        self,
        parameter: Tensor,
        bias: Tensor | None,
        source: int,
        output: int,
        weight: Tensor,
        **window: Any,  # noqa: ANN401 (fields of Convolution)
    ) -> None:
        name = self._names.get(_place(parameter), "")
        scales, biases = _unit(len(weight))
        if bias is not None:
            biases = bias.detach().to(torch.float32).view(1, -1).clone()
        self._steps.append(
            Convolution(
                name, source, output, weight, scales, biases, levels=self._levels(name, weight), **window
            )
        )

    def linear(self, given: dict[str, Any], result: Tensor) -> None:
        """Matrix products (rows, K) × (K, out), of whole images or of the channels of each pixel."""
        images, matrix = given.get("mat1", given["self"]), given["mat2"]
        bias = given["self"] if "mat1" in given else None
        if id(matrix) in self._traced or id(bias) in self._traced:
            raise UntraceableError("it multiplies images by images, as attention does")
        if given.get("alpha", 1) != 1 or given.get("beta", 1) != 1:
            raise UntraceableError("it has a matrix product with factors")
        traced = self._of(images)
        order, weight = self._order(traced), matrix.detach().t()
        channels, height, width = self._shapes[traced.number]
        size = channels * height * width
        if bias is not None:
            bias = bias.detach().expand(result.shape)[0]
        if len(order) == _IMAGES:
            places = self._of_one_image(traced)
            known = places != _ZERO
            # A number that is there several times counts with the sum of its weights.
            kernel = torch.zeros(len(weight), size, dtype=torch.float32).index_add_(
                1, places[known], weight[:, known]
            )
            kernel = kernel.view(len(weight), channels, height, width)
            output = self._value((len(weight), 1, 1))
            self._convolve(matrix, bias, traced.number, output, kernel)
            self._holds(result, output, self._canonical(output).view(result.shape))
            return
        traced, pixels = self._of_pixels(traced)
        channels, height, width = self._shapes[traced.number]
        output = self._value((len(weight), height, width))
        kernel = weight.contiguous().view(len(weight), channels, 1, 1)
        self._convolve(matrix, bias, traced.number, output, kernel)
        image = pixels // (height * width) * (len(weight) * height * width) + pixels % (height * width)
        order = image[:, None] + torch.arange(len(weight)) * (height * width)
        self._holds(result, output, order)

    def _of_pixels(self, traced: _Traced) -> tuple[_Traced, Tensor]:
        """Return a tensor (..., C), and of which pixel each of its rows is: image · height · width + place.

        Every row must hold channels of one pixel. Where these are in another order than in the value, or
        not all of them, they become a value of their own.
        """
        other = "it has a linear layer or a layer norm over something else than channels"
        channels, height, width = self._shapes[traced.number]
        places, order = height * width, self._order(traced)
        rows = order.reshape(-1, order.shape[-1])
        if len(rows) != _IMAGES * places:
            raise UntraceableError(other)
        first = rows[:, 0]
        pixels = first // (channels * places) * places + first % (channels * places)
        if rows.shape[1] == channels and torch.equal(rows, first[:, None] + torch.arange(channels) * places):
            if not torch.equal(pixels.sort().values, torch.arange(len(pixels))):
                raise UntraceableError(other)
            return traced, pixels
        images = order.reshape(_IMAGES, height, width, -1).permute(0, 3, 1, 2)
        number = self._channels_first(_Traced(traced.tensor, traced.number, images))
        found = self._canonical(number).permute(0, 2, 3, 1).reshape(order.shape)
        return _Traced(traced.tensor, number, found), torch.arange(len(rows))

    def batch_norm(self, given: dict[str, Any], result: Sequence[Tensor]) -> None:
        mean, variance = given["running_mean"], given["running_var"]
        if mean is None or variance is None or given.get("training"):
            raise UntraceableError("it has a batch norm that measures each batch")
        traced = self._of(given["input"])
        scale = (variance.double() + given["eps"]).rsqrt()
        scale = scale if given["weight"] is None else scale * given["weight"].double()
        shift = -mean.double() * scale
        shift = shift if given["bias"] is None else shift + given["bias"].double()
        source = self._channels_first(traced)
        output = self._value(self._shapes[source])
        self._steps.append(Affine(source, output, _row(scale), _row(shift)))
        # A norm of (N, C) gives (N, C).
        self._holds(result[0], output, self._canonical(output).view(result[0].shape))

    def layer_norm(self, given: dict[str, Any], result: Sequence[Tensor]) -> None:
        traced = self._of(given["input"])
        if len(given["normalized_shape"]) != 1:
            raise UntraceableError("it has a layer norm over whole images")
        traced, _ = self._of_pixels(traced)
        scales, biases = _unit(self._shapes[traced.number][0])
        if given["weight"] is not None:
            scales = _row(given["weight"])
        if given["bias"] is not None:
            biases = _row(given["bias"])
        output = self._value(self._shapes[traced.number])
        self._steps.append(ChannelNorm(traced.number, output, scales, biases, float(given["eps"])))
        self._holds(result[0], output, traced.order)

    def add(self, given: dict[str, Any], result: Tensor) -> None:
        self._add(given["self"], given["other"], float(given.get("alpha", 1)), result)

    def sub(self, given: dict[str, Any], result: Tensor) -> None:
        self._add(given["self"], given["other"], -float(given.get("alpha", 1)), result)

    def rsub(self, given: dict[str, Any], result: Tensor) -> None:
        self._add(given["other"], given["self"], -float(given.get("alpha", 1)), result)

    def neg(self, given: dict[str, Any], result: Tensor) -> None:
        self._add(0.0, given["self"], -1.0, result)

    def mul(self, given: dict[str, Any], result: Tensor) -> None:
        left, right = given["self"], given["other"]
        if id(left) in self._traced and id(right) in self._traced:
            self._combine("multiply", self._of(left), self._of(right), result)
            return
        images, constant = (left, right) if id(left) in self._traced else (right, left)
        self._maps(images, constant, 0.0, result)

    def div(self, given: dict[str, Any], result: Tensor) -> None:
        if id(given["other"]) in self._traced or given.get("rounding_mode"):
            raise UntraceableError("it divides by what it computed")
        self._maps(given["self"], 1.0 / torch.as_tensor(given["other"], dtype=torch.float64), 0.0, result)

    def _add(self, left: Any, right: Any, factor: float, result: Tensor) -> None:  # noqa: ANN401 (tensor or number)
        """Record left + factor × right."""
        if id(left) not in self._traced:
            self._maps(right, factor, left, result)
        elif id(right) not in self._traced:
            self._maps(left, 1.0, factor * torch.as_tensor(right, dtype=torch.float64), result)
        else:
            second = self._of(right) if factor == 1.0 else self._mapped(right, factor, 0.0, right.shape)
            self._combine("add", self._of(left), second, result)

    def _maps(self, tensor: Tensor, scale: Tensor | float, shift: Tensor | float, result: Tensor) -> None:
        """Record that the result is scale × tensor + shift."""
        traced = self._mapped(tensor, scale, shift, result.shape)
        self._holds(result, traced.number, traced.order)

    def _mapped(
        self, tensor: Tensor, scale: Tensor | float, shift: Tensor | float, shape: torch.Size
    ) -> _Traced:
        """Return scale × tensor + shift, of this shape; both constants must be one number per channel."""
        traced = self._of(tensor)
        if not self._is_whole(traced):
            number = self._channels_first(traced)
            traced = _Traced(tensor, number, self._canonical(number).view(tensor.shape))
        if shape != tensor.shape:
            raise UntraceableError("it spreads what it computed over a constant")
        scales, shifts = (_row(self._per_channel(one, traced, shape)) for one in (scale, shift))
        output = self._value(self._shapes[traced.number])
        self._steps.append(Affine(traced.number, output, scales, shifts))
        return _Traced(tensor, output, traced.order)

    def _combine(self, kind: Any, left: _Traced, right: _Traced, result: Tensor) -> None:  # noqa: ANN401
        orders = left.order, right.order
        alike = self._shapes[left.number] == self._shapes[right.number] and (
            orders == (None, None)
            or (self._is_whole(left) and torch.equal(self._order(left), self._order(right)))
        )
        if alike:
            first, second, order = left.number, right.number, left.order
        else:
            first, second = self._channels_first(left), self._channels_first(right)
            if self._shapes[first][1:] == (1, 1):
                first, second = second, first
            order = None
        shape = self._shapes[first]
        if self._shapes[second] not in (shape, (shape[0], 1, 1)):
            raise UntraceableError("it combines values of other shapes than one number per channel")
        output = self._value(shape)
        if order is None and result.shape[1:] != shape:
            order = self._canonical(output).reshape(result.shape)
        self._steps.append(Combine(kind, first, second, output))
        self._holds(result, output, order)

    def cat(self, given: dict[str, Any], result: Tensor) -> None:
        if given["dim"] % result.ndim != 1:
            raise UntraceableError("it concatenates along something else than channels")
        sources = tuple(self._channels_first(self._of(one)) for one in given["tensors"])
        shape = self._shapes[sources[0]]
        output = self._value((sum(self._shapes[one][0] for one in sources), *shape[1:]))
        self._steps.append(Concatenate(sources, output))
        self._holds(result, output, self._canonical(output).reshape(result.shape))

    def mean(self, given: dict[str, Any], result: Tensor) -> None:
        self._whole_pool("average", given, result)

    def amax(self, given: dict[str, Any], result: Tensor) -> None:
        self._whole_pool("max", given, result)

    def _whole_pool(self, kind: Any, given: dict[str, Any], result: Tensor) -> None:  # noqa: ANN401
        """Record a mean or maximum over all places of each channel, whatever the order of the axes."""
        traced = self._of(given["self"])
        if not self._is_whole(traced):
            number = self._channels_first(traced)
            traced = _Traced(traced.tensor, number, self._canonical(number).reshape(traced.tensor.shape))
        order, dimensions = self._order(traced), given.get("dim")
        if dimensions is None or not result.ndim:
            raise UntraceableError("it takes a mean over all images")
        reduced = sorted(one % order.ndim for one in dimensions)
        kept = [one for one in range(order.ndim) if one not in reduced]
        places = math.prod(order.shape[one] for one in reduced)
        rows = order.permute(*kept, *reduced).reshape(-1, places).sort(1).values
        channels, height, width = self._shapes[traced.number]
        expected = rows[:, :1] + torch.arange(places)
        if places != height * width or not torch.equal(rows, expected) or bool((rows[:, 0] % places).any()):
            raise UntraceableError("it takes a mean over something else than whole channels")
        output = self._value((channels, 1, 1))
        self._steps.append(Pool(kind, traced.number, output, (height, width), (height, width)))
        self._holds(result, output, (rows[:, 0] // places).view(result.shape))

    def adaptive_pool(self, given: dict[str, Any], result: Tensor | Sequence[Tensor]) -> None:
        kind: Any = "average" if isinstance(result, Tensor) else "max"
        found = result if isinstance(result, Tensor) else result[0]
        source = self._channels_first(self._of(given["self"]))
        shape = self._shapes[source]
        if not any(target % size for size, target in zip(shape[1:], found.shape[2:], strict=True)):
            # Larger than what it pools: each number several times.
            order = self._canonical(source)
            for axis in (2, 3):
                order = order.repeat_interleave(found.shape[axis] // order.shape[axis], axis)
            self._holds(found, source, order)
            return
        if any(size % target for size, target in zip(shape[1:], found.shape[2:], strict=True)):
            raise UntraceableError("it has an adaptive pooling of which neither size divides the other")
        kernel = (shape[1] // found.shape[2], shape[2] // found.shape[3])
        output = self._value(found.shape[1:])
        self._steps.append(Pool(kind, source, output, kernel, kernel))
        self._holds(found, output)

    def average_pool(self, given: dict[str, Any], result: Tensor) -> None:
        self._pool("average", given, result, bool(given["count_include_pad"]))
        if given.get("divisor_override"):
            raise UntraceableError("it has an average pooling with a divisor of its own")

    def max_pool(self, given: dict[str, Any], result: Sequence[Tensor]) -> None:
        if set(given["dilation"]) != {1}:
            raise UntraceableError("it has a dilated max pooling")
        self._pool("max", given, result[0], False)

    def _pool(self, kind: Any, given: dict[str, Any], result: Tensor, counts: bool) -> None:  # noqa: ANN401
        source = self._channels_first(self._of(given["self"]))
        kernel, padding = _pair(given["kernel_size"]), _pair(given["padding"])
        stride = _pair(given["stride"] or kernel)
        shape = (int(result.shape[1]), int(result.shape[2]), int(result.shape[3]))
        for axis in (0, 1):
            seen = (shape[1 + axis] - 1) * stride[axis] + kernel[axis]
            if counts and seen > self._shapes[source][1 + axis] + 2 * padding[axis]:
                raise UntraceableError("it has an average pooling that counts a part of its padding")
        counts = counts and padding != (0, 0)
        output = self._value(shape)
        self._steps.append(Pool(kind, source, output, kernel, stride, padding, counts))
        self._holds(result, output)

    def _activate(self, activation: Activation, given: dict[str, Any], result: Tensor) -> None:
        traced = self._of(given["self"])
        if not self._is_whole(traced):
            number = self._channels_first(traced)
            traced = _Traced(result, number, self._canonical(number).reshape(result.shape))
        output = self._value(self._shapes[traced.number])
        self._steps.append(Pointwise(traced.number, output, activation))
        self._holds(result, output, traced.order)

    def leaky_relu(self, given: dict[str, Any], result: Tensor) -> None:
        self._activate(Activation("leaky_relu", slope=float(given["negative_slope"])), given, result)

    def gelu(self, given: dict[str, Any], result: Tensor) -> None:
        approximate = given["approximate"] == "tanh"
        self._activate(Activation("gelu_tanh" if approximate else "gelu"), given, result)

    def clamp(self, given: dict[str, Any], result: Tensor) -> None:
        low, high = given.get("min", given.get("min_val")), given.get("max", given.get("max_val"))
        if low == 0 and high is None:
            self._activate(Activation("relu"), given, result)
        elif isinstance(low, Tensor) or isinstance(high, Tensor) or low is None or high is None:
            raise UntraceableError("it clamps on one side, or by tensors")
        else:
            self._activate(Activation("clamp", low=float(low), high=float(high)), given, result)


def _named(name: ActivationName) -> Callable[[_Recorder, dict[str, Any], Any], None]:
    return lambda recorder, given, result: recorder._activate(Activation(name), given, result)


_RECORDERS: dict[str, Callable[[_Recorder, dict[str, Any], Any], None]] = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias"), _Recorder.view),
    **dict.fromkeys(("clone", "alias", "detach", "contiguous", "lift_fresh", "_to_copy"), _Recorder.same),
    "as_strided": _Recorder.restrided,
    **dict.fromkeys(
        (
            "permute",
            "transpose",
            "slice",
            "select",
            "expand",
            "squeeze",
            "unsqueeze",
            "split",
            "split_with_sizes",
            "unbind",
            "narrow",
            "index_select",
            "channel_shuffle",
            "native_channel_shuffle",
            "pixel_unshuffle",
            "flip",
            "roll",
        ),
        _Recorder.reordered,
    ),
    "constant_pad_nd": _Recorder.pad,
    "convolution": _Recorder.convolution,
    **dict.fromkeys(("addmm", "mm"), _Recorder.linear),
    **dict.fromkeys(
        (
            "native_batch_norm",
            "_native_batch_norm_legit",
            "_native_batch_norm_legit_no_training",
            "_batch_norm_no_update",
        ),
        _Recorder.batch_norm,
    ),
    "native_layer_norm": _Recorder.layer_norm,
    "add": _Recorder.add,
    "sub": _Recorder.sub,
    "rsub": _Recorder.rsub,
    "neg": _Recorder.neg,
    "mul": _Recorder.mul,
    "div": _Recorder.div,
    "cat": _Recorder.cat,
    "mean": _Recorder.mean,
    "amax": _Recorder.amax,
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d"), _Recorder.adaptive_pool),
    "avg_pool2d": _Recorder.average_pool,
    "max_pool2d_with_indices": _Recorder.max_pool,
    "leaky_relu": _Recorder.leaky_relu,
    "gelu": _Recorder.gelu,
    **dict.fromkeys(("clamp", "clamp_min", "hardtanh"), _Recorder.clamp),
    "relu": _named("relu"),
    "hardswish": _named("hardswish"),
    "hardsigmoid": _named("hardsigmoid"),
    "silu": _named("silu"),
    "sigmoid": _named("sigmoid"),
    "tanh": _named("tanh"),
}


def _arguments(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return the arguments of an operation by name, with defaults, and the call as it was."""
    given: dict[str, Any] = {"function": function, "args": args, "kwargs": kwargs}
    for number, argument in enumerate(function._schema.arguments):
        default = argument.default_value if argument.has_default_value() else None
        given[argument.name] = args[number] if number < len(args) else kwargs.get(argument.name, default)
    return given


def _place(tensor: Tensor) -> tuple[int, int]:
    return tensor.untyped_storage().data_ptr(), tensor.numel()


def _pair(given: Sequence[int]) -> tuple[int, int]:
    return (int(given[0]), int(given[-1]))


def _row(numbers: Tensor) -> Tensor:
    return numbers.detach().to(torch.float32).view(1, -1).clone()


def _unit(channels: int) -> tuple[Tensor, Tensor]:
    scales = torch.ones(1, channels, dtype=torch.float32)
    return scales, torch.zeros_like(scales)


def _ascends(*axes: Tensor) -> bool:
    return all(torch.equal(axis, torch.arange(len(axis))) for axis in axes)


def _progression(places: Tensor, size: int) -> tuple[int, int]:
    """Return stride and padding by which a window of one pixel sees these rows or columns in turn.

    `_ZERO` stands for a place outside of the source, before its first or behind its last one.
    """
    inside = (places >= 0).nonzero().flatten()
    if not len(inside):
        raise UntraceableError("it pads an image so far that nothing of it is left")
    first, last = int(inside[0]), int(inside[-1])
    stride = int(places[first + 1] - places[first]) if last > first else size
    padding = first * stride - int(places[first])
    seen = torch.arange(len(places)) * stride - padding
    if stride < 1 or not torch.equal(torch.where((seen >= 0) & (seen < size), seen, _ZERO), places):
        raise UntraceableError("it takes rows or columns apart that are not evenly spaced")
    return stride, padding

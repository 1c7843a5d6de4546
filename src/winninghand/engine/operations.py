"""What operations of ATen become in a program, one function for each kind; long, for there are many.

Each gets the arguments of an operation by name, and what came out of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from winninghand.engine.program import (
    Activation,
    ActivationName,
    Affine,
    ChannelNorm,
    Combine,
    Concatenate,
    Convolution,
    Levels,
    Pointwise,
    Pool,
)
from winninghand.engine.recording import IMAGES, ZERO, Recording, Traced, UntraceableError, unit

Recorder: TypeAlias = Callable[[Recording, dict[str, Any], Any], None]


def _per_channel(recording: Recording, constant: Tensor | float, traced: Traced, shape: torch.Size) -> Tensor:
    """Return a constant that is combined with a tensor as one number per channel, float64 (C,)."""
    channels, height, width = recording.shapes[traced.number]
    if not isinstance(constant, Tensor):
        return torch.full((channels,), float(constant), dtype=torch.float64)
    spread = constant.to(torch.float64).expand(shape)
    numbers = torch.empty(IMAGES * channels * height * width, dtype=torch.float64)
    numbers[recording.order(traced).flatten()] = spread.flatten()
    rows = numbers.view(IMAGES, channels, height * width)
    if not torch.equal(rows, rows[:1, :, :1].expand(rows.shape)):
        raise UntraceableError("it adds or multiplies constants that are not one per channel")
    return rows[0, :, 0]


def _levels(recording: Recording, name: str, weight: Tensor) -> Levels | None:
    """Return a weight as whole levels, where it is some."""
    flat = weight.flatten(1)
    scale = recording.scales.get(name)
    if scale is None:
        scale = flat.abs().amax(1)
    levels = (flat / torch.where(scale == 0, 1.0, scale)[:, None]).round()
    if not torch.equal(levels * scale[:, None] + 0.0, flat + 0.0) or float(levels.abs().max()) > 127:
        return None
    return Levels(
        levels.view_as(weight).to(torch.int8), scale.to(torch.float32), bool((levels.abs() <= 1).all())
    )


def _view(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    traced = recording.of(given["self"])
    recording.hold(result, traced.number, recording.order(traced).reshape(result.shape))


def _same(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    traced = recording.of(given["self"])
    recording.hold(result, traced.number, traced.order)


def _restrided(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    """Take strides that are other numbers for the same order, as pooling makes them for channels-last."""
    traced = recording.of(given["self"])
    usual = torch.empty(result.shape).stride()
    told = zip(given["size"], given["stride"], usual, strict=True)
    if [*given["size"]] != [*recording.order(traced).shape] or any(
        size > 1 and stride != one for size, stride, one in told
    ):
        raise UntraceableError("it takes numbers of an image by strides")
    recording.hold(result, traced.number, traced.order)


def _reordered(recording: Recording, given: dict[str, Any], result: Tensor | Sequence[Tensor]) -> None:
    traced = recording.of(given["self"])
    function, args, kwargs = given["function"], list(given["args"]), given["kwargs"]
    found = function(recording.order(traced), *args[1:], **kwargs)
    if isinstance(result, Tensor):
        recording.hold(result, traced.number, found)
    else:
        for one, order in zip(result, found, strict=True):
            recording.hold(one, traced.number, order)


def _pad(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    traced = recording.of(given["self"])
    if given["value"] != 0:
        raise UntraceableError("it pads with other numbers than zero")
    order = torch.nn.functional.pad(recording.order(traced), given["pad"], value=ZERO)
    recording.hold(result, traced.number, order)


def _convolution(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    weight, bias = given["weight"], given["bias"]
    if given["transposed"] or weight.ndim != 4 or recording.knows(weight):
        raise UntraceableError("the engine knows convolutions of images by constants, not transposed ones")
    source = recording.channels_first(recording.of(given["input"]))
    output = recording.value(result.shape[1:])
    _convolve(
        recording,
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
    recording.hold(result, output)


def _convolve(
    recording: Recording,
    parameter: Tensor,
    bias: Tensor | None,
    source: int,
    output: int,
    weight: Tensor,
    **window: Any,  # noqa: ANN401 (fields of Convolution)
) -> None:
    name = recording.name_of(parameter)
    scales, biases = unit(len(weight))
    if bias is not None:
        biases = bias.detach().to(torch.float32).view(1, -1).clone()
    recording.add(
        Convolution(
            name, source, output, weight, scales, biases, levels=_levels(recording, name, weight), **window
        )
    )


def _linear(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    """Matrix products (rows, K) × (K, out), of whole images or of the channels of each pixel."""
    images, matrix = given.get("mat1", given["self"]), given["mat2"]
    bias = given["self"] if "mat1" in given else None
    if recording.knows(matrix) or recording.knows(bias):
        raise UntraceableError("it multiplies images by images, as attention does")
    if given.get("alpha", 1) != 1 or given.get("beta", 1) != 1:
        raise UntraceableError("it has a matrix product with factors")
    traced = recording.of(images)
    order, weight = recording.order(traced), matrix.detach().t()
    channels, height, width = recording.shapes[traced.number]
    size = channels * height * width
    if bias is not None:
        bias = bias.detach().expand(result.shape)[0]
    if len(order) == IMAGES:
        places = recording.of_one_image(traced)
        known = places != ZERO
        # A number that is there several times counts with the sum of its weights.
        kernel = torch.zeros(len(weight), size, dtype=torch.float32).index_add_(
            1, places[known], weight[:, known]
        )
        kernel = kernel.view(len(weight), channels, height, width)
        output = recording.value((len(weight), 1, 1))
        _convolve(recording, matrix, bias, traced.number, output, kernel)
        recording.hold(result, output, recording.canonical(output).view(result.shape))
        return
    traced, pixels = recording.of_pixels(traced)
    channels, height, width = recording.shapes[traced.number]
    output = recording.value((len(weight), height, width))
    kernel = weight.contiguous().view(len(weight), channels, 1, 1)
    _convolve(recording, matrix, bias, traced.number, output, kernel)
    image = pixels // (height * width) * (len(weight) * height * width) + pixels % (height * width)
    order = image[:, None] + torch.arange(len(weight)) * (height * width)
    recording.hold(result, output, order)


def _batch_norm(recording: Recording, given: dict[str, Any], result: Sequence[Tensor]) -> None:
    mean, variance = given["running_mean"], given["running_var"]
    if mean is None or variance is None or given.get("training"):
        raise UntraceableError("it has a batch norm that measures each batch")
    traced = recording.of(given["input"])
    scale = (variance.double() + given["eps"]).rsqrt()
    scale = scale if given["weight"] is None else scale * given["weight"].double()
    shift = -mean.double() * scale
    shift = shift if given["bias"] is None else shift + given["bias"].double()
    source = recording.channels_first(traced)
    output = recording.value(recording.shapes[source])
    recording.add(Affine(source, output, _row(scale), _row(shift)))
    # A norm of (N, C) gives (N, C).
    recording.hold(result[0], output, recording.canonical(output).view(result[0].shape))


def _layer_norm(recording: Recording, given: dict[str, Any], result: Sequence[Tensor]) -> None:
    traced = recording.of(given["input"])
    if len(given["normalized_shape"]) != 1:
        raise UntraceableError("it has a layer norm over whole images")
    traced, _ = recording.of_pixels(traced)
    scales, biases = unit(recording.shapes[traced.number][0])
    if given["weight"] is not None:
        scales = _row(given["weight"])
    if given["bias"] is not None:
        biases = _row(given["bias"])
    output = recording.value(recording.shapes[traced.number])
    recording.add(ChannelNorm(traced.number, output, scales, biases, float(given["eps"])))
    recording.hold(result[0], output, traced.order)


def _add(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    _summed(recording, given["self"], given["other"], float(given.get("alpha", 1)), result)


def _subtract(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    _summed(recording, given["self"], given["other"], -float(given.get("alpha", 1)), result)


def _subtract_from(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    _summed(recording, given["other"], given["self"], -float(given.get("alpha", 1)), result)


def _negate(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    _summed(recording, 0.0, given["self"], -1.0, result)


def _multiply(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    left, right = given["self"], given["other"]
    if recording.knows(left) and recording.knows(right):
        _combine(recording, "multiply", recording.of(left), recording.of(right), result)
        return
    images, constant = (left, right) if recording.knows(left) else (right, left)
    _map(recording, images, constant, 0.0, result)


def _divide(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    if recording.knows(given["other"]) or given.get("rounding_mode"):
        raise UntraceableError("it divides by what it computed")
    _map(recording, given["self"], 1.0 / torch.as_tensor(given["other"], dtype=torch.float64), 0.0, result)


def _summed(recording: Recording, left: Any, right: Any, factor: float, result: Tensor) -> None:  # noqa: ANN401 (tensor or number)
    """Record left + factor × right."""
    if not recording.knows(left):
        _map(recording, right, factor, left, result)
    elif not recording.knows(right):
        _map(recording, left, 1.0, factor * torch.as_tensor(right, dtype=torch.float64), result)
    else:
        second = recording.of(right) if factor == 1.0 else _mapped(recording, right, factor, 0.0, right.shape)
        _combine(recording, "add", recording.of(left), second, result)


def _map(
    recording: Recording, tensor: Tensor, scale: Tensor | float, shift: Tensor | float, result: Tensor
) -> None:
    """Record that the result is scale × tensor + shift."""
    traced = _mapped(recording, tensor, scale, shift, result.shape)
    recording.hold(result, traced.number, traced.order)


def _mapped(
    recording: Recording, tensor: Tensor, scale: Tensor | float, shift: Tensor | float, shape: torch.Size
) -> Traced:
    """Return scale × tensor + shift, of this shape; both constants must be one number per channel."""
    traced = recording.whole(tensor)
    if shape != tensor.shape:
        raise UntraceableError("it spreads what it computed over a constant")
    scales, shifts = (_row(_per_channel(recording, one, traced, shape)) for one in (scale, shift))
    output = recording.value(recording.shapes[traced.number])
    recording.add(Affine(traced.number, output, scales, shifts))
    return Traced(tensor, output, traced.order)


def _combine(recording: Recording, kind: Any, left: Traced, right: Traced, result: Tensor) -> None:  # noqa: ANN401
    orders = left.order, right.order
    alike = recording.shapes[left.number] == recording.shapes[right.number] and (
        orders == (None, None)
        or (recording.is_whole(left) and torch.equal(recording.order(left), recording.order(right)))
    )
    if alike:
        first, second, order = left.number, right.number, left.order
    else:
        first, second = recording.channels_first(left), recording.channels_first(right)
        if recording.shapes[first][1:] == (1, 1):
            first, second = second, first
        order = None
    shape = recording.shapes[first]
    if recording.shapes[second] not in (shape, (shape[0], 1, 1)):
        raise UntraceableError("it combines values of other shapes than one number per channel")
    output = recording.value(shape)
    if order is None and result.shape[1:] != shape:
        order = recording.canonical(output).reshape(result.shape)
    recording.add(Combine(kind, first, second, output))
    recording.hold(result, output, order)


def _concatenate(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    if given["dim"] % result.ndim != 1:
        raise UntraceableError("it concatenates along something else than channels")
    sources = tuple(recording.channels_first(recording.of(one)) for one in given["tensors"])
    shape = recording.shapes[sources[0]]
    output = recording.value((sum(recording.shapes[one][0] for one in sources), *shape[1:]))
    recording.add(Concatenate(sources, output))
    recording.hold(result, output, recording.canonical(output).reshape(result.shape))


def _mean(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    _whole_pool(recording, "average", given, result)


def _largest(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    _whole_pool(recording, "max", given, result)


def _whole_pool(recording: Recording, kind: Any, given: dict[str, Any], result: Tensor) -> None:  # noqa: ANN401
    """Record a mean or maximum over all places of each channel, whatever the order of the axes."""
    traced = recording.whole(given["self"])
    order, dimensions = recording.order(traced), given.get("dim")
    if dimensions is None or not result.ndim:
        raise UntraceableError("it takes a mean over all images")
    reduced = sorted(one % order.ndim for one in dimensions)
    kept = [one for one in range(order.ndim) if one not in reduced]
    places = math.prod(order.shape[one] for one in reduced)
    rows = order.permute(*kept, *reduced).reshape(-1, places).sort(1).values
    channels, height, width = recording.shapes[traced.number]
    expected = rows[:, :1] + torch.arange(places)
    if places != height * width or not torch.equal(rows, expected) or bool((rows[:, 0] % places).any()):
        raise UntraceableError("it takes a mean over something else than whole channels")
    output = recording.value((channels, 1, 1))
    recording.add(Pool(kind, traced.number, output, (height, width), (height, width)))
    recording.hold(result, output, (rows[:, 0] // places).view(result.shape))


def _adaptive_pool(recording: Recording, given: dict[str, Any], result: Tensor | Sequence[Tensor]) -> None:
    kind: Any = "average" if isinstance(result, Tensor) else "max"
    found = result if isinstance(result, Tensor) else result[0]
    source = recording.channels_first(recording.of(given["self"]))
    shape = recording.shapes[source]
    if not any(target % size for size, target in zip(shape[1:], found.shape[2:], strict=True)):
        # Larger than what it pools: each number several times.
        order = recording.canonical(source)
        for axis in (2, 3):
            order = order.repeat_interleave(found.shape[axis] // order.shape[axis], axis)
        recording.hold(found, source, order)
        return
    if any(size % target for size, target in zip(shape[1:], found.shape[2:], strict=True)):
        raise UntraceableError("it has an adaptive pooling of which neither size divides the other")
    kernel = (shape[1] // found.shape[2], shape[2] // found.shape[3])
    output = recording.value(found.shape[1:])
    recording.add(Pool(kind, source, output, kernel, kernel))
    recording.hold(found, output)


def _average_pool(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    _pool(recording, "average", given, result, bool(given["count_include_pad"]))
    if given.get("divisor_override"):
        raise UntraceableError("it has an average pooling with a divisor of its own")


def _max_pool(recording: Recording, given: dict[str, Any], result: Sequence[Tensor]) -> None:
    if set(given["dilation"]) != {1}:
        raise UntraceableError("it has a dilated max pooling")
    _pool(recording, "max", given, result[0], False)


def _pool(recording: Recording, kind: Any, given: dict[str, Any], result: Tensor, counts: bool) -> None:  # noqa: ANN401
    source = recording.channels_first(recording.of(given["self"]))
    kernel, padding = _pair(given["kernel_size"]), _pair(given["padding"])
    stride = _pair(given["stride"] or kernel)
    shape = (int(result.shape[1]), int(result.shape[2]), int(result.shape[3]))
    for axis in (0, 1):
        seen = (shape[1 + axis] - 1) * stride[axis] + kernel[axis]
        if counts and seen > recording.shapes[source][1 + axis] + 2 * padding[axis]:
            raise UntraceableError("it has an average pooling that counts a part of its padding")
    counts = counts and padding != (0, 0)
    output = recording.value(shape)
    recording.add(Pool(kind, source, output, kernel, stride, padding, counts))
    recording.hold(result, output)


def _activate(recording: Recording, activation: Activation, given: dict[str, Any], result: Tensor) -> None:
    traced = recording.whole(given["self"])
    output = recording.value(recording.shapes[traced.number])
    recording.add(Pointwise(traced.number, output, activation))
    recording.hold(result, output, traced.order)


def _leaky_relu(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    _activate(recording, Activation("leaky_relu", slope=float(given["negative_slope"])), given, result)


def _gelu(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    approximate = given["approximate"] == "tanh"
    _activate(recording, Activation("gelu_tanh" if approximate else "gelu"), given, result)


def _clamp(recording: Recording, given: dict[str, Any], result: Tensor) -> None:
    low, high = given.get("min", given.get("min_val")), given.get("max", given.get("max_val"))
    if low == 0 and high is None:
        _activate(recording, Activation("relu"), given, result)
    elif isinstance(low, Tensor) or isinstance(high, Tensor) or low is None or high is None:
        raise UntraceableError("it clamps on one side, or by tensors")
    else:
        _activate(recording, Activation("clamp", low=float(low), high=float(high)), given, result)


def _named(name: ActivationName) -> Recorder:
    return lambda recording, given, result: _activate(recording, Activation(name), given, result)


def _pair(given: Sequence[int]) -> tuple[int, int]:
    return (int(given[0]), int(given[-1]))


def _row(numbers: Tensor) -> Tensor:
    return numbers.detach().to(torch.float32).view(1, -1).clone()


OPERATIONS: dict[str, Recorder] = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias"), _view),
    **dict.fromkeys(("clone", "alias", "detach", "contiguous", "lift_fresh", "_to_copy"), _same),
    "as_strided": _restrided,
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
        _reordered,
    ),
    "constant_pad_nd": _pad,
    "convolution": _convolution,
    **dict.fromkeys(("addmm", "mm"), _linear),
    **dict.fromkeys(
        (
            "native_batch_norm",
            "_native_batch_norm_legit",
            "_native_batch_norm_legit_no_training",
            "_batch_norm_no_update",
        ),
        _batch_norm,
    ),
    "native_layer_norm": _layer_norm,
    "add": _add,
    "sub": _subtract,
    "rsub": _subtract_from,
    "neg": _negate,
    "mul": _multiply,
    "div": _divide,
    "cat": _concatenate,
    "mean": _mean,
    "amax": _largest,
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive_pool),
    "avg_pool2d": _average_pool,
    "max_pool2d_with_indices": _max_pool,
    "leaky_relu": _leaky_relu,
    "gelu": _gelu,
    **dict.fromkeys(("clamp", "clamp_min", "hardtanh"), _clamp),
    "relu": _named("relu"),
    "hardswish": _named("hardswish"),
    "hardsigmoid": _named("hardsigmoid"),
    "silu": _named("silu"),
    "sigmoid": _named("sigmoid"),
    "tanh": _named("tanh"),
}
"""By the name of an operation of ATen, without the underscore of what is done in place."""

"""Batch norms multiplied into the convolutions before them, where an exporter left them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from winninghand.exports.levels import Array

_DEFAULT_EPSILON = 1e-5


def fold_norms(graphs: list[Any], constants: dict[str, Any], numpy_helper: Any) -> None:  # noqa: ANN401
    """Multiply each norm that alone sees a convolution's output into its weights, in place.

    An exporter leaves norms apart where several cards have the weights in common. Each card's
    convolution gets weights of its own here, under the name of its output; `constants` learns of them.
    """
    for graph in graphs:
        uses = Counter(name for node in graph.node for name in node.input)
        uses.update(one.name for one in graph.output)
        makers = {node.output[0]: node for node in graph.node}
        left = []
        for node in graph.node:
            layer = makers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
            known = [constants.get(name) for name in node.input[1:]] if layer is not None else []
            if layer is None or None in known or not _can_take(layer, uses, constants):
                left.append(node)
                continue
            weight, bias = _folded(layer, node, constants, numpy_helper)
            output = node.output[0]
            for name, values in ((f"{output}_folded", weight), (f"{output}_folded_bias", bias)):
                constants[name] = numpy_helper.from_array(values.astype(np.float32), name)
                graph.initializer.append(constants[name])
            first = layer.input[0]
            del layer.input[:]
            layer.input.extend([first, f"{output}_folded", f"{output}_folded_bias"])
            layer.output[0] = output
        copies = type(graph)(node=left)
        del graph.node[:]
        graph.node.extend(copies.node)


def _can_take(layer: Any, uses: Mapping[str, int], constants: Mapping[str, Any]) -> bool:  # noqa: ANN401
    return (
        layer.op_type == "Conv"
        and uses[layer.output[0]] == 1
        and all(name in constants for name in layer.input[1:])
    )


def _folded(layer: Any, norm: Any, constants: Mapping[str, Any], numpy_helper: Any) -> tuple[Array, Array]:  # noqa: ANN401
    """Return the weights and the biases of a convolution and the norm behind it as one convolution."""
    weight, *own = _arrays(layer.input[1:], constants, numpy_helper)
    gain, offset, mean, variance = _arrays(norm.input[1:], constants, numpy_helper)
    epsilon = next((one.f for one in norm.attribute if one.name == "epsilon"), _DEFAULT_EPSILON)
    factors = gain / np.sqrt(variance + epsilon)
    bias = (own[0] if own else 0.0) - mean
    return weight * factors.reshape(-1, *[1] * (weight.ndim - 1)), bias * factors + offset


def _arrays(names: Any, constants: Mapping[str, Any], numpy_helper: Any) -> Iterator[Array]:  # noqa: ANN401
    return (numpy_helper.to_array(constants[name]).astype(np.float64) for name in names)

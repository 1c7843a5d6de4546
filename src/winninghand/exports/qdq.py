"""An exported graph with QuantizeLinear and DequantizeLinear around its layers (QDQ, ONNX opset 13).

What runs the file replaces each layer between such pairs by one of whole numbers. Weights have a scale
per output channel, activations one for the whole tensor and a zero point.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from winninghand.base.extras import needed
from winninghand.exports.calibration import Array, Step
from winninghand.exports.levels import Levels, nearest_levels, with_room_for

# onnx has no types here: graphs, nodes and tensors are protocol buffers of its own.
Graph = Any
Node = Any

_EXTRA = ("export", "to export to .onnx")
_WORTH_MOVING = 1024  # bytes
_LAYERS = ("Conv", "Gemm", "MatMul")
_ACTIVATIONS = ("Relu", "Clip")
# What moves values and changes none: its output keeps the step of its input.
_MOVERS = ("Flatten", "Identity", "MaxPool", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
_ATTRIBUTES = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0}


@dataclass(frozen=True)
class Layer:
    """A node with a constant weight: its place in its body, and the dimension of the output channels."""

    node: Node
    weight: str
    axis: int


@dataclass(frozen=True)
class Body:
    """The nodes of one or more cards, in the graph that holds them, and what of them is quantized.

    `sources` names the values that get a step; each maps to the value whose step it has, mostly itself.
    """

    graph: Graph
    layers: tuple[Layer, ...]
    sources: Mapping[str, str]


def bodies_of(model: Any) -> list[Body]:  # noqa: ANN401 (an onnx.ModelProto)
    """Return the bodies of a card's or deck's graph; what belongs to a gate is in none of them.

    A deck whose gate looks at images has each card in a branch of its own, and the gate outside.
    """
    constants = constants_of(model)
    found = (_body(graph, constants) for graph in graphs_of_cards(model))
    return [body for body in found if body.layers]


def graphs_of_cards(model: Any) -> list[Graph]:  # noqa: ANN401
    """Return the graphs that cards are played in: branches, or the model's own where it has none."""
    return [branch for branch, _ in _branches(model.graph)] or [model.graph]


def constants_of(model: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return all initializers of a model, those of branches included, by name."""
    graphs = [model.graph, *(graph for graph, _ in _branches(model.graph))]
    return {one.name: one for graph in graphs for one in graph.initializer}


def _branches(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    """Yield what each `If` of a graph does where its condition holds, and the `If`."""
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "If" and attribute.name == "then_branch":
                yield attribute.g, node


def _body(graph: Graph, constants: Mapping[str, Any]) -> Body:
    layers = tuple(layer for node in graph.node if (layer := _layer(node, constants)) is not None)
    inputs = {layer.node.input[0] for layer in layers}
    ahead = _ancestors(graph, inputs)
    users: dict[str, list[Node]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    chosen = set(inputs)
    for layer in layers:
        if layer.node.op_type != "Conv":
            continue  # products give floats of their own accord; a convolution of whole numbers does not
        output = layer.node.output[0]
        after = users[output]
        if len(after) == 1 and after[0].op_type in _ACTIVATIONS:
            output = after[0].output[0]
        # A head's answers are compared with each other: they stay floats.
        if output in inputs | ahead:
            chosen.add(output)
    return Body(graph, layers, _sources(graph, chosen))


def _layer(node: Node, constants: Mapping[str, Any]) -> Layer | None:
    if node.op_type not in _LAYERS or node.input[0] in constants:
        return None
    weight = constants.get(node.input[1])
    if weight is None or weight.data_type != needed("onnx", *_EXTRA).TensorProto.FLOAT:
        return None
    if node.op_type == "Conv":
        return Layer(node, weight.name, 0)
    found = {one.name: one.i if one.name.startswith("trans") else one.f for one in node.attribute}
    settings = {**_ATTRIBUTES, **found}
    if len(weight.dims) != 2 or settings["transA"] or (settings["alpha"], settings["beta"]) != (1, 1):
        return None
    return Layer(node, weight.name, 0 if settings["transB"] else 1)


def _ancestors(graph: Graph, names: set[str]) -> set[str]:
    """Return the values of a graph that these values are made of."""
    found: set[str] = set()
    for node in reversed(graph.node):
        if any(name in names or name in found for name in node.output):
            found.update(node.input)
    return found


def _sources(graph: Graph, chosen: set[str]) -> dict[str, str]:
    """Return for each chosen value the one whose step it has: another one where it was only moved."""
    origins = {name: name for name in chosen}
    for node in graph.node:
        if node.op_type in _MOVERS and node.input[0] in origins:
            origins.update(dict.fromkeys(node.output, origins[node.input[0]]))
    return {name: origins[name] for name in chosen}


def played_by_all(model: Any, names: list[str]) -> Any:  # noqa: ANN401
    """Return a model in which every card is played, and whose outputs are these values."""
    onnx = needed("onnx", *_EXTRA)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    taken = {node.output[0]: branch for branch, node in _branches(copy.graph)}
    nodes, weights = [], list(copy.graph.initializer)
    for node in copy.graph.node:
        branch = taken.get(node.output[0])
        if branch is None:
            nodes.append(node)
            continue
        weights += branch.initializer
        nodes += branch.node
        for inner, outer in zip(branch.output, node.output, strict=True):
            nodes.append(onnx.helper.make_node("Identity", [inner.name], [outer]))
    for node in nodes:
        node.name = ""  # two branches may name theirs alike
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in names]
    graph = onnx.helper.make_graph(nodes, copy.graph.name, list(copy.graph.input), outputs, weights)
    copy.graph.CopyFrom(graph)
    return copy


class Rewriter:
    """Puts the levels of weights and the steps of activations into the graph of a model, in place.

    `rounded` counts the layers whose weights no card has levels of, and which were rounded for the file.
    """

    def __init__(self, model: Any, levels: Levels, steps: Mapping[str, Step] | None) -> None:  # noqa: ANN401
        self.onnx = needed("onnx", *_EXTRA)
        self.model, self.levels, self.steps = model, levels, steps
        self.constants = constants_of(model)
        self.bodies = bodies_of(model)
        self.stored: dict[tuple[int, str], str] = {}
        self.rounded = 0

    def run(self) -> None:
        """Rewrite the model: with no steps the cards' own levels alone, so that its outputs stay."""
        for body in self.bodies:
            self._rewrite(body)
        _drop_unused(self.model)
        _store_once(self.model)

    def _rewrite(self, body: Body) -> None:
        layers = {layer.node.output[0]: layer for layer in body.layers}
        sources = {} if self.steps is None else dict(body.sources)
        made = {name for node in body.graph.node for name in node.output}
        names = {name: f"{name}_dequantized" for name in sources}
        nodes: list[Node] = []
        for name in sorted(sources.keys() - made):
            # It comes from outside: in another branch it has a pair of its own.
            names[name] = f"{name}_dequantized_for_{body.layers[0].node.output[0]}"
            nodes += self._pair(body.graph, name, names[name], sources[name])
        for node in body.graph.node:
            layer = layers.get(node.output[0])
            if layer is not None:
                nodes += self._whole(body, layer)
            for position, name in enumerate(node.input):
                node.input[position] = names.get(name, name)
            nodes.append(node)
            for name in node.output:
                if name in sources:
                    nodes += self._pair(body.graph, name, names[name], sources[name])
        whole = self.onnx.GraphProto(node=nodes)
        del body.graph.node[:]
        body.graph.node.extend(whole.node)

    def _whole(self, body: Body, layer: Layer) -> list[Node]:
        """Give a layer whole weights, and a whole bias where its input has a step; return their nodes."""
        node, graph = layer.node, body.graph
        weight = np.moveaxis(self._array(layer.weight), layer.axis, 0)
        found = self.levels.of(weight)
        if found is None and self.steps is None:
            return []
        self.rounded += found is None
        levels, scales = nearest_levels(weight) if found is None else found
        step = None if self.steps is None else self.steps[body.sources[node.input[0]]]
        bias = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        added: list[Node] = []
        if step is not None and bias is not None:
            numbers = self._array(bias.name)
            levels, scales = with_room_for(numbers, levels, scales, step.scale)
            steps = (step.scale * scales.astype(np.float64)).astype(np.float32)
            rounded = np.round(numbers.astype(np.float64) / steps).astype(np.int32)
            added.append(self._dequantize(graph, f"{node.output[0]}_bias", rounded, steps, 0))
            node.input[2] = added[-1].output[0]
        whole = np.ascontiguousarray(np.moveaxis(levels, 0, layer.axis))
        added.append(self._dequantize(graph, f"{node.output[0]}_weight", whole, scales, layer.axis))
        node.input[1] = added[-1].output[0]
        return added

    def _dequantize(self, graph: Graph, name: str, levels: Array, scales: Array, axis: int) -> Node:
        inputs = [
            self._constant(graph, f"{name}_levels", levels),
            self._constant(graph, f"{name}_scales", scales),
            self._constant(graph, f"{name}_zeros", np.zeros(len(scales), levels.dtype)),
        ]
        return self.onnx.helper.make_node("DequantizeLinear", inputs, [f"{name}_dequantized"], axis=axis)

    def _pair(self, graph: Graph, name: str, result: str, source: str) -> list[Node]:
        assert self.steps is not None
        step, make = self.steps[source], self.onnx.helper.make_node
        numbers = [
            self._constant(graph, f"{result}_scale", np.float32(step.scale)),
            self._constant(graph, f"{result}_zero", np.uint8(step.zero)),
        ]
        return [
            make("QuantizeLinear", [name, *numbers], [f"{result}_levels"]),
            make("DequantizeLinear", [f"{result}_levels", *numbers], [result]),
        ]

    def _constant(self, graph: Graph, name: str, values: Any) -> str:  # noqa: ANN401 (an array or a number)
        """Add an initializer to a graph; one that the graph holds already is used again."""
        array = np.asarray(values)
        key = hashlib.blake2b(array.tobytes() + repr((array.dtype, array.shape)).encode()).hexdigest()
        known = self.stored.get((id(graph), key))
        if known is None:
            graph.initializer.append(self.onnx.numpy_helper.from_array(array, name))
            known = self.stored[id(graph), key] = name
        return known

    def _array(self, name: str) -> Array:
        array: Array = self.onnx.numpy_helper.to_array(self.constants[name])
        return array


def _drop_unused(model: Any) -> None:  # noqa: ANN401
    """Take out initializers that no node of the model uses."""
    graphs = list(_graphs(model.graph))
    used = {name for graph in graphs for node in graph.node for name in node.input}
    used |= {one.name for graph in graphs for one in graph.output}
    for graph in graphs:
        kept = [one for one in graph.initializer if one.name in used]
        copies = type(graph)(initializer=kept)
        del graph.initializer[:]
        graph.initializer.extend(copies.initializer)


def _store_once(model: Any) -> None:  # noqa: ANN401
    """Move large initializers that branches have in common, such as the levels of one body, outside."""
    holders: dict[bytes, list[tuple[Graph, Any]]] = defaultdict(list)
    for branch, _ in _branches(model.graph):
        for one in branch.initializer:
            if len(one.raw_data) >= _WORTH_MOVING:
                key = repr((one.data_type, list(one.dims))).encode() + one.raw_data
                holders[hashlib.blake2b(key).digest()].append((branch, one))
    for common in holders.values():
        if len(common) < 2:
            continue
        name = common[0][1].name
        model.graph.initializer.append(common[0][1])
        for branch, one in common:
            for node in branch.node:
                for position, given in enumerate(node.input):
                    if given == one.name:
                        node.input[position] = name
            branch.initializer.remove(one)


def _graphs(graph: Graph) -> Iterator[Graph]:
    """Yield a graph and all that lie within its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)

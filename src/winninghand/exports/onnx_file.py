"""`.onnx`: a card or a deck with its gate as one graph, checked with ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from winninghand.base.errors import InputError, checked_whole
from winninghand.base.extras import needed
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.exports.checking import check
from winninghand.exports.graphs import INPUT
from winninghand.exports.tracing import traced, without_chatter

EXTRA = ("export", "to export to .onnx")
METADATA = "winninghand"
"""Under what name an ONNX file says what it is: classes, how images get their size, a deck's gate."""

_OLDEST = 18  # the opset that torch's exporter is written in; it knows later ones
_LARGEST = 2**31 - 2**20  # bytes of one protobuf file, and room for the graph


def write_onnx(model: Card | Deck, path: Path, opset: int | None = None) -> None:
    """Write a model as ONNX, once ONNX Runtime agrees with it.

    `opset` is the version of ONNX's operators, by default the one that torch's exporter is at. Raises
    `InputError` where onnx, onnxscript or onnxruntime is missing, for more than 2 GB, and for an opset
    in which the model cannot be written.
    """
    graph = onnx_of(model, opset)
    check("the ONNX file", answers_of(graph), model)
    path.write_bytes(graph.SerializeToString())


def onnx_of(model: Card | Deck, opset: int | None = None) -> Any:  # noqa: ANN401 (an onnx.ModelProto)
    """Return a model as an ONNX graph, not yet checked; see `write_onnx` for the errors."""
    for package in ("onnx", "onnxscript"):
        needed(package, *EXTRA)
    if opset is not None:
        checked_whole("opset", opset, 1, 1000)
    if sum(tensor.nbytes for tensor in model.state_dict().values()) > _LARGEST:
        raise InputError("an ONNX file holds at most 2 GB of weights; export fewer cards")
    graph, program = traced(model)
    wanted: dict[str, Any] = {} if opset is None else {"opset_version": max(opset, _OLDEST)}
    with without_chatter():
        exported = torch.onnx.export(
            program,
            dynamo=True,
            dynamic_shapes={INPUT: {0: "batch"}},
            input_names=[INPUT],
            output_names=list(graph.outputs),
            verbose=False,
            **wanted,
        )
    assert exported is not None
    _tidied(exported.model, _metadata(model))
    result = exported.model_proto
    return result if opset is None or opset >= _OLDEST else _converted(result, opset, model.kind)


def _converted(graph: Any, opset: int, kind: str) -> Any:  # noqa: ANN401 (an onnx.ModelProto)
    """Return a graph in an opset older than torch's exporter writes; `InputError` where there is no way."""
    onnx = needed("onnx", *EXTRA)
    for node in graph.graph.node:
        # Its default, for which older operators have no name.
        for attribute in [one for one in node.attribute if one.name == "noop_with_empty_axes" and not one.i]:
            node.attribute.remove(attribute)
    try:
        older = onnx.version_converter.convert_version(graph, opset)
        onnx.checker.check_model(older)
    except Exception as error:  # RuntimeError, and what onnx's own code throws
        raise InputError(
            f"this {kind} cannot be written in opset {opset}; take {_OLDEST} or a later one"
        ) from error
    del older.metadata_props[:]
    older.metadata_props.extend(graph.metadata_props)
    return older


def answers_of(graph: Any, literally: bool = False) -> Callable[[Tensor], Sequence[Tensor]]:  # noqa: ANN401
    """Return what gives an ONNX graph's outputs for images, by ONNX Runtime; see `session`."""
    run = session(graph, literally=literally)
    return lambda images: [torch.from_numpy(output) for output in run.run(None, {INPUT: images.numpy()})]


def session(graph: Any, threads: int = 0, literally: bool = False) -> Any:  # noqa: ANN401 (untyped)
    """Return a session of ONNX Runtime on the CPU, on all cores for 0 threads.

    `literally` runs node by node what is written. Otherwise nodes are fused, and a product with whole
    weights may round its input to 8 bits, even where the graph leaves it a float.

    Raises `InputError` for an opset that this ONNX Runtime does not know.
    """
    runtime = needed("onnxruntime", *EXTRA)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    if literally:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = graph.SerializeToString()
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if "opset" not in str(error):
            raise
        version = max(one.version for one in graph.opset_import)
        raise InputError(
            f"ONNX Runtime {runtime.__version__} does not know opset {version}; take an older one"
        ) from error


def _tidied(model: Any, metadata: dict[str, Any]) -> None:  # noqa: ANN401 (onnx_ir is untyped here)
    """Leave out where a model was traced, and what is unused; put weights and metadata in their place."""
    passes = import_module("onnx_ir.passes.common")
    for tidy in (passes.ClearMetadataAndDocStringPass, passes.RemoveUnusedNodesPass):
        tidy()(model)
    _sink_weights(model.graph)
    model.metadata_props[METADATA] = json.dumps(metadata)


def _metadata(model: Card | Deck) -> dict[str, Any]:
    transform = model.cards[0].metadata.preparation.transform
    metadata = {"classes": model.classes, "input_size": model.input_size, "transform": transform}
    return metadata if model.gate is None else {**metadata, "gate": model.gate, "cards": len(model.cards)}


def _sink_weights(graph: Any) -> None:  # noqa: ANN401 (onnx_ir is untyped here)
    """Move each initializer of an onnx_ir graph that one branch alone uses into that branch, in place.

    ONNX Runtime fuses and lays out convolutions whose weights are in their own graph only; a card
    in a branch otherwise takes nearly twice as long.
    """
    for branch in [branch for node in graph for branch in _branches(node)]:
        for value in [value for node in branch for value in node.inputs]:
            if value is None or value.name not in graph.initializers:
                continue
            if all(user.graph is branch for user, _ in value.uses()):
                del graph.initializers[value.name]
                branch.register_initializer(value)


def _branches(node: Any) -> list[Any]:  # noqa: ANN401
    if node.op_type != "If":
        return []
    return [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]

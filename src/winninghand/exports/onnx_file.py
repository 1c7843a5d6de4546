"""`.onnx`: a card or a deck with its gate as one graph, checked with ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from winninghand.base.errors import InputError
from winninghand.base.extras import needed
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.exports.checking import check
from winninghand.exports.graphs import INPUT
from winninghand.exports.tracing import traced, without_chatter

_EXTRA = ("export", "to export to .onnx")
_LARGEST = 2**31 - 2**20  # bytes of one protobuf file, and room for the graph


def write_onnx(model: Card | Deck, path: Path) -> None:
    """Write a model as ONNX in the opset that torch's exporter is at, once ONNX Runtime agrees with it.

    Raises `InputError` where onnx, onnxscript or onnxruntime is missing, or for more than 2 GB.
    """
    for package in ("onnx", "onnxscript"):
        needed(package, *_EXTRA)
    runtime = needed("onnxruntime", *_EXTRA)
    if sum(tensor.nbytes for tensor in model.state_dict().values()) > _LARGEST:
        raise InputError("an ONNX file holds at most 2 GB of weights; export fewer cards")
    graph, program = traced(model)
    with without_chatter():
        exported = torch.onnx.export(
            program,
            dynamo=True,
            dynamic_shapes={INPUT: {0: "batch"}},
            input_names=[INPUT],
            output_names=list(graph.outputs),
            verbose=False,
        )
    assert exported is not None
    _tidied(exported.model, _metadata(model))
    exported.save(path, external_data=False)
    session = _session(runtime, path)

    def run(images: Tensor) -> Sequence[Tensor]:
        return [torch.from_numpy(output) for output in session.run(None, {INPUT: images.numpy()})]

    check("the ONNX file", run, model)


def _tidied(model: Any, metadata: dict[str, Any]) -> None:  # noqa: ANN401 (onnx_ir is untyped here)
    """Leave out where a model was traced, and what is unused; put weights and metadata in their place."""
    passes = import_module("onnx_ir.passes.common")
    for tidy in (passes.ClearMetadataAndDocStringPass, passes.RemoveUnusedNodesPass):
        tidy()(model)
    _sink_weights(model.graph)
    model.metadata_props["winninghand"] = json.dumps(metadata)


def _metadata(model: Card | Deck) -> dict[str, Any]:
    metadata = {"classes": model.classes, "input_size": model.input_size}
    return metadata if model.gate is None else {**metadata, "gate": model.gate, "cards": len(model.cards)}


def _session(runtime: Any, path: Path) -> Any:  # noqa: ANN401 (onnxruntime is untyped)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


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

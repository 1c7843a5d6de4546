"""Weights where they are used: a card's in its own branch."""

from __future__ import annotations

from typing import Any


def sink_weights(graph: Any) -> None:  # noqa: ANN401 (onnx_ir is untyped here)
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

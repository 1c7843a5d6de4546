"""From a card or a deck to a program of torch.export."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO

import torch
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.exports.graphs import INPUT, CardGraph, DeckGraph, graph_of


def traced(model: Card | Deck) -> tuple[CardGraph | DeckGraph, ExportedProgram]:
    """Return a model's graph, and the program traced from it for any number of images from 1 up."""
    graph = graph_of(model)
    example = torch.full((2, 3, *model.input_size), 0.5)
    # Strict, because the other way of tracing takes the length of the example for a constant.
    with without_chatter():
        program = torch.export.export(
            graph, (example,), dynamic_shapes={INPUT: {0: Dim("batch", min=1)}}, strict=True
        )
    _forget_places(program)
    return graph, program


def _forget_places(program: ExportedProgram) -> None:
    """Take out the lines of source, with the folders they lie in, that every step remembers."""
    for module in program.graph_module.modules():
        if isinstance(module, GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Keep exporters from telling people of their own deprecations and vain attempts."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        # torch.export prints the whole network where it decides by the values it sees.
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

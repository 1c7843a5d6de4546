"""`.onnx` of whole numbers: a card's or deck's own int8 levels, and activations calibrated on images."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from winninghand.base.device import images_at_once
from winninghand.base.errors import InputError
from winninghand.base.extras import needed
from winninghand.cards import Card, check_batch, check_pixels
from winninghand.cards.quantization import fits_levels
from winninghand.decks import Deck
from winninghand.exports.calibration import Array, steps
from winninghand.exports.checking import check
from winninghand.exports.folding import fold_norms
from winninghand.exports.graphs import INPUT
from winninghand.exports.levels import Levels
from winninghand.exports.onnx_file import EXTRA, METADATA, answers_of, onnx_of, session
from winninghand.exports.qdq import Rewriter, bodies_of, constants_of, graphs_of_cards, played_by_all

# Formats whose levels int8 holds; the others are rounded to int8 first.
_OWN_LEVELS = ("int8", "int4")
_OLDEST = 13
_RUNS = 21


@dataclass(frozen=True)
class QuantizedFile:
    """What a file of whole numbers is beside the same model's file of floats.

    Sizes are in bytes; times are milliseconds for one image on one thread of ONNX Runtime, medians of 21
    runs in turn. `agreement` is the fraction of the `images` of the calibration that keep their class.
    `rounded` tells whether the cards' weights had to be rounded to int8 first. `rounded_layers` of all
    `layers` have weights that a card leaves as floats, such as a head that is not pruned: they are rounded
    in the file alone.
    """

    bytes: int
    float_bytes: int
    milliseconds: float
    float_milliseconds: float
    agreement: float
    images: int
    rounded: bool
    layers: int
    rounded_layers: int


def write_quantized(
    model: Card | Deck, path: Path, images: Tensor, opset: int | None = None
) -> QuantizedFile:
    """Write a model as an ONNX graph of whole numbers, QuantizeLinear and DequantizeLinear around layers.

    `images`, float (N, 3, H, W) in [0, 1], are like those that will come. Before anything is written the
    cards' levels are checked: with all else left as floats the file must give the model's outputs.

    Raises `InputError` for what `write_onnx` refuses, for images of another type or shape, and for a network
    without a layer that whole numbers are known for.
    """
    check_batch(images, model.input_size)
    check_pixels(images)
    whole, rounded = with_levels(model)
    if opset is not None and opset < _OLDEST:
        raise InputError(f"scales per channel need opset {_OLDEST} or a later one, not {opset}")
    graph = onnx_of(whole, opset)
    plain, floats = graph.ByteSize(), session(graph, 1)
    fold_norms(graphs_of_cards(graph), constants_of(graph), needed("onnx", *EXTRA).numpy_helper)
    levels = Levels(whole.cards)
    names = sorted({source for body in bodies_of(graph) for source in body.sources.values()})
    if not names:
        raise InputError("the network has no convolution or linear layer that int8 can be written for")
    _check_weights(graph, levels, whole)
    pixels = images.detach().cpu().float().numpy()
    runner = session(played_by_all(graph, names), torch.get_num_threads())
    found = steps(lambda batch: runner.run(names, {INPUT: batch}), names, pixels)
    rewriter = Rewriter(graph, levels, found)
    layers = sum(len(body.layers) for body in rewriter.bodies)
    rewriter.run()
    _describe(graph, len(images))
    times = _milliseconds([floats, session(graph, 1)], pixels[:1])
    content = graph.SerializeToString()
    path.write_bytes(content)
    agreement = _agreement(model, graph, images)
    return QuantizedFile(
        bytes=len(content),
        float_bytes=plain,
        milliseconds=times[1],
        float_milliseconds=times[0],
        agreement=agreement,
        images=len(images),
        rounded=rounded,
        layers=layers,
        rounded_layers=rewriter.rounded,
    )


def with_levels(model: Card | Deck) -> tuple[Card | Deck, bool]:
    """Return a model whose cards' weights are int8's levels, and whether any had to be rounded for that."""
    cards = [card if _has_levels(card) else card.quantized("int8") for card in model.cards]
    if all(one is other for one, other in zip(cards, model.cards, strict=True)):
        return model, False
    if model.kind == "card":
        return cards[0], True
    return Deck(cards, model.gate, model.settings, model.temperatures.tolist()), True


def _has_levels(card: Card) -> bool:
    """Tell whether weights of a card are levels that int8 holds, and still what they were quantized to."""
    form = (card.metadata.quantization or {}).get("weights")
    return (
        form in _OWN_LEVELS
        and bool(card.scales)
        and all(
            fits_levels(card.network.get_parameter(name), scale, form) for name, scale in card.scales.items()
        )
    )


def _check_weights(graph: Any, levels: Levels, whole: Card | Deck) -> None:  # noqa: ANN401
    """Raise `RuntimeError` unless a graph with the cards' levels, all else floats, gives a model's outputs.

    Weights that a card leaves as floats are floats here too: what it costs to round them is no mistake.
    """
    copy = type(graph)()
    copy.CopyFrom(graph)
    Rewriter(copy, levels, None).run()
    check("the ONNX file with whole weights", answers_of(copy, literally=True), whole)


def _describe(graph: Any, images: int) -> None:  # noqa: ANN401
    """Say in a graph's metadata how it was quantized."""
    (entry,) = (one for one in graph.metadata_props if one.key == METADATA)
    entry.value = json.dumps({**json.loads(entry.value), "weights": "int8", "calibration_images": images})


def _milliseconds(sessions: list[Any], image: Array) -> list[float]:
    """Return the median milliseconds that each session takes for one image, all run in turn."""
    times: list[list[float]] = [[] for _ in sessions]
    for number in range(_RUNS + 2):
        for run, taken in zip(sessions, times, strict=True):
            started = time.perf_counter()
            run.run(None, {INPUT: image})
            if number >= 2:
                taken.append(1000 * (time.perf_counter() - started))
    return [statistics.median(taken) for taken in times]


@torch.no_grad()
def _agreement(model: Card | Deck, graph: Any, images: Tensor) -> float:  # noqa: ANN401
    """Return the fraction of images that a graph and a model put into the same class."""
    run, same = answers_of(graph), 0
    for batch in images.cpu().float().split(images_at_once(64, 64, model.input_size)):
        same += int((run(batch)[0].argmax(dim=1) == model.answer(batch).outputs.argmax(dim=1)).sum())
    return same / len(images)

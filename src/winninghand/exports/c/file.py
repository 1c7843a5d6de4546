"""`.c`: a card, or a deck with its gate, as one file of C99 that needs nothing but a compiler."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.base.version import __version__
from winninghand.cards import Card
from winninghand.decks import Deck
from winninghand.decks.bodies import bodies_of
from winninghand.engine.program import Program, together
from winninghand.engine.recording import UntraceableError
from winninghand.engine.tracing import trace
from winninghand.exports.c.functions import needed_by
from winninghand.exports.c.gate import Choice
from winninghand.exports.c.network import Network, as_comment
from winninghand.exports.c.tables import Tables, literal

_MATHEMATICS = re.compile(r"\b(?:expf|logf|sqrtf|tanhf|erff)\(")
_WIDTH = 100
_FLOAT = 4
_INT = "/* An int must have 32 bits. */\ntypedef char int_has_32_bits[sizeof(int) >= 4 ? 1 : -1];"


@dataclass(frozen=True)
class CFile:
    """What a C file takes of a machine: bytes of flash, beside its code, bytes of RAM, and products.

    `products` are those of weights that are kept, for one image and the largest card; as many are added.
    """

    constants: int
    ram: int
    products: int


def write_c(model: Card | Deck, path: Path, name: str = "model") -> CFile:
    """Write a model as one C file whose function is `name`_predict; of a name, letters and digits are left.

    Raises `InputError` for a network that is no list of the steps that C is written for, and for a gate
    that C does not know.
    """
    text, file = c_file(model, c_name(name))
    path.write_text(text, encoding="ascii", newline="\n")
    return file


def c_name(name: str) -> str:
    """Return a name as C takes it: letters, digits and underscores, not beginning with a digit."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    return plain if plain[:1].isalpha() else f"model_{plain}".strip("_")


def c_file(model: Card | Deck, name: str) -> tuple[str, CFile]:
    """Return the text of a model's C file, and what it takes; `name` begins its public names."""
    tables, players = Tables(), _players(model)
    programs = list(dict.fromkeys(program for program, _ in players))
    networks = {program: Network(program, f"network_{n}", tables) for n, program in enumerate(programs)}
    calls = [networks[program].call(card) for program, card in players]
    choice = Choice(model, programs[0], tables) if model.kind == "deck" else None
    public = {f"int {name}_predict(const unsigned char *rgb, float *scores)": _predict(model, calls, choice)}
    if choice is not None and choice.remembers:
        public[f"void {name}_reset(void)"] = ["forget_stream();"]
    functions = [network.text for network in networks.values()] + ([] if choice is None else choice.functions)
    functions += [_function(declaration, lines) for declaration, lines in public.items()]
    used = "\n\n".join(needed_by("\n\n".join([*tables.structures, *functions])))
    file = CFile(tables.bytes, _ram(tables, used), max(program.macs() for program in programs))
    numbers = ", ".join(f"{key} = {value}" for key, value in tables.numbers.items())
    parts = [
        _comment(model, list(public), file),
        *(["#include <math.h>"] if _MATHEMATICS.search(used) else []),
        _INT,
        "\n".join(f"{declaration};" for declaration in public),
        f"enum {{ {numbers} }};",
        "static float memory[MEMORY];",
        used,
        *tables.tables,
        "\n".join(tables.structures),
        *functions,
    ]
    return "\n\n".join(parts) + "\n", file


def _players(model: Card | Deck) -> list[tuple[Program, int]]:
    """Return for each card its program, and its number among the cards of that program."""
    found: dict[int, tuple[Program, int]] = {}
    try:
        for numbers in bodies_of(model.cards):
            programs = [trace(model.cards[number]) for number in numbers]
            joined = together(programs)
            for place, number in enumerate(numbers):
                found[number] = (programs[place], 0) if joined is None else (joined, place)
    except UntraceableError as reason:
        raise InputError(f"this network cannot be written in C: {reason}; export it to .onnx") from None
    return [found[number] for number in range(len(model.cards))]


def _predict(model: Card | Deck, calls: Sequence[str], choice: Choice | None) -> list[str]:
    """Return the lines of the function that people call."""
    classes = len(model.classes)
    best = f"return largest_of(scores, {classes});"
    if choice is None:
        return [f"copy({calls[0]}, scores, {classes});", best]
    start = ["float weights[CARDS];", "int i;", *choice.lines]
    lines = [*start, f"for (i = 0; i < {classes}; i++)", "    scores[i] = 0;"]
    temperatures = model.temperatures.tolist() if model.kind == "deck" else []
    for number, (call, temperature) in enumerate(zip(calls, temperatures, strict=True)):
        mixed = f"add_shares({call}, {literal(temperature)}, weights[{number}], scores, {classes});"
        lines += [f"if (weights[{number}] > 0)", f"    {mixed}"]
    return [*lines, f"take_logarithms(scores, {classes});", best]


def _function(declaration: str, lines: Sequence[str]) -> str:
    body = "\n    ".join(lines)
    return f"{declaration}\n{{\n    {body}\n}}"


def _ram(tables: Tables, used: str) -> int:
    """Return the bytes of all that is static and not constant in the functions that are used."""
    floats = tables.numbers["MEMORY"]
    floats += tables.numbers["LARGEST_PLANE"] if "sums[LARGEST_PLANE]" in used else 0
    floats += tables.numbers["CARDS"] + 1 if "} stream =" in used else 0
    return _FLOAT * floats


def _comment(model: Card | Deck, public: Sequence[str], file: CFile) -> str:
    """Return the comment at the head of the file: how to call it, its classes, and what it takes."""
    height, width = model.input_size
    cards = (
        "one card" if model.gate is None else f"{len(model.cards)} cards, chosen by the gate {model.gate!r}"
    )
    each = "" if model.gate is None else " for each card that is played"
    outputs = "logits" if model.gate is None else "logarithms of probabilities"
    predict, *reset = (f"    {declaration};" for declaration in public)
    paragraphs = [
        f"{model.cards[0].network_name}, {cards}. Written by winninghand {__version__}, in C99.",
        predict,
        f"rgb: an image of {width} x {height} pixels, row by row from the top left, three bytes for each: "
        f"red, green, blue. scores: room for {len(model.classes)} floats, which become {outputs}. Returns "
        "the number of the class of the highest score.",
        *reset,
        *(["The gate remembers earlier images; this begins a new stream."] if reset else []),
        "Classes: " + ", ".join(f"{number} {one}" for number, one in enumerate(model.classes)) + ".",
        f"Flash: {file.constants:,} bytes of constants, and the code. RAM: {file.ram:,} bytes, static, and "
        "less than a kilobyte of stack; nothing is allocated. All calls use the same memory: one at a time. "
        f"Work: {file.products:,} products of weights{each}.",
    ]
    blocks = [
        one if one.startswith("    ") else textwrap.fill(as_comment(one), _WIDTH, break_long_words=False)
        for one in paragraphs
    ]
    return "/* " + textwrap.indent("\n\n".join(blocks), "   ").lstrip() + " */"

"""A target, its ticket, the certificate and the answers that it proves, as files and as a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from time import perf_counter

from winninghand.base.charts import drawing, save_picture
from winninghand.base.errors import percent
from winninghand.base.files import atomic_write
from winninghand.base.progress import with_progress
from winninghand.cards import Card
from winninghand.evaluation import Measurement
from winninghand.images import ImageSet
from winninghand.recipe import make_recipe
from winninghand.report.page import template_engine
from winninghand.report.terminal import console, print_missing
from winninghand.report.theory import Section, check_chart, write_theory_page
from winninghand.theory.copies import Depth
from winninghand.theory.embedding import Ticket, embed
from winninghand.theory.measuring import ProvedCell, proved_cells
from winninghand.theory.statements import STATEMENTS, TRIALS
from winninghand.theory.ticket_file import save_ticket
from winninghand.theory.widths import Kind
from winninghand.training import train

_RECIPE = {
    "network": {"name": "conv2", "width": 4},
    # Digits are neither mirrored nor moved as far as photographs: a mirrored 2 is no 2.
    "domain": {"name": "gaussian", "flip": False, "padding": 2},
    "compression": {"method": "dense"},
    "training": {"epochs": 10, "batch_size": 64, "learning_rate": 0.05},
}


_LAYERS: dict[Depth, str] = {
    "2L": "Each layer of the target becomes two: a hidden one, whose neurons keep one random weight each, "
    "and one of the target's form. Products of two random numbers are the samples of a weight.",
    "L+1": "A layer that sees the image becomes two: a hidden one, whose neurons keep one random weight "
    "each, and one of the target's form. Each value of a layer is there in copies, and the random weights by "
    "which the next layer sees them are the samples of a weight.",
}


@dataclass(frozen=True)
class Proven:
    """What came out: the cells, the clean one first, and the seconds that each step took."""

    ticket: Ticket
    cells: tuple[ProvedCell, ...]
    seconds: dict[str, float]

    def document(self) -> dict[str, object]:
        """Return it as plain values."""
        clean, *others = self.cells
        return {
            "epsilon": self.ticket.epsilon,
            "bound": self.ticket.bound,
            "seed": self.ticket.seed,
            "kind": self.ticket.kind,
            "depth": self.ticket.depth,
            "kept": self.ticket.kept,
            "layers": [asdict(layer) for layer in self.ticket.certificate.layers],
            "clean_accuracy": {"target": clean.target_accuracy, "ticket": clean.ticket_accuracy},
            "robust_accuracy": {
                "target": mean(cell.target_accuracy for cell in others) if others else None,
                "ticket": mean(cell.ticket_accuracy for cell in others) if others else None,
            },
            "cells": [asdict(cell) for cell in self.cells],
            "seconds": self.seconds,
        }


def trained_target(images: ImageSet, out: Path) -> Card:
    """Return a small convolutional card, trained on these images in a few seconds."""
    return train(make_recipe(_RECIPE), images, out)


def run_theory(
    target: Card,
    images: ImageSet,
    measurement: Measurement,
    out: Path,
    epsilon: float,
    seed: int = 0,
    kind: Kind = "float",
    depth: Depth = "2L",
) -> Proven:
    """Embed a card, prove its answers, check the statements; leaves page, figures, JSON, ticket in `out`."""
    drawing()  # missing, these are missed now and not after the search
    template_engine()
    print_missing(measurement.missing)
    seconds = {}
    start = perf_counter()
    console.print(f"searching the ticket of {target.network_name} within {epsilon:g}")
    ticket = embed(target, epsilon, seed, kind, depth=depth)
    seconds["ticket and certificate"] = perf_counter() - start
    for line in (f"{ticket}", *_rescaled(ticket)):
        console.print(line)
    start = perf_counter()
    measured = proved_cells(target, ticket, measurement, images.test)
    cells = tuple(with_progress(measured, "proving answers", len(measurement), "cells"))
    seconds["answers"] = perf_counter() - start
    start = perf_counter()
    checks = [(statement, statement.check(TRIALS, seed)) for statement in STATEMENTS.values()]
    seconds["statements"] = perf_counter() - start
    proven = Proven(ticket, cells, seconds)
    for name, (_, check) in zip(STATEMENTS, checks, strict=True):
        save_picture(check_chart(check), out / f"{name}.svg")
    save_ticket(ticket, out / "theory.ticket")
    with atomic_write(out / "theory.json") as tmp:
        tmp.write_text(json.dumps(proven.document(), indent=1) + "\n", encoding="utf-8")
    write_theory_page(
        out / "theory.html",
        "A robust card in a random network",
        _introduction(),
        _sections(target, proven),
        checks,
    )
    for line in _conclusion(proven):
        console.print(line)
    size = (out / "theory.ticket").stat().st_size
    console.print(f"the ticket, a seed and masks: {out / 'theory.ticket'}, {size:,} bytes")
    console.print(f"the page: {out / 'theory.html'}")
    return proven


def _introduction() -> list[str]:
    return [
        "A random network that is wide enough holds, under a mask, whatever a given network does. So if a "
        "robust "
        "network exists, a sparse random one does, too. Below this is done: nothing in the masked network "
        "was "
        "trained, and its answers are proved, image by image."
    ]


def _sections(target: Card, proven: Proven) -> list[Section]:
    ticket = proven.ticket
    layers = ticket.certificate.layers
    random, kept = sum(one.weights for one in layers), sum(one.kept for one in layers)
    return [
        Section(
            "The target",
            [
                f"A card of {target.network_name}, with {target.inspect().nonzero:,} weights other than "
                f"zero, for "
                f"images of {target.input_size[0]} × {target.input_size[1]} and {len(target.classes)} "
                f"classes. What "
                "norms and the normalisation of images do is brought into the weights."
            ],
        ),
        Section(
            "One random network",
            [
                f"From seed {ticket.seed} a network of {random:,} random numbers is drawn, once. "
                + _LAYERS[ticket.depth],
                *_rescaled(ticket),
                f"The mask keeps {kept:,} of them, {percent(ticket.kept, 1)}. Each weight of the target is "
                "the sum of a subset of its samples; the best subset is found exactly.",
            ],
            (
                "layer",
                "weights",
                "samples each",
                "hidden channels",
                "random numbers",
                "kept",
                "largest error",
                "mean error",
            ),
            [
                (
                    one.name,
                    f"{one.targets:,}",
                    f"{one.samples}",
                    f"{one.hidden:,}",
                    f"{one.weights:,}",
                    percent(one.kept / one.weights, 1),
                    f"{one.largest_error:.1e}",
                    f"{one.mean_error:.1e}",
                )
                for one in layers
            ],
        ),
        Section(
            "The certificate",
            [
                "The masked layers are added up anew, and compared with the target's. The differences are "
                "propagated "
                "through all layers, for every image in [0, 1]^d at once, number by number and in the "
                "Euclidean norm, "
                "and everything is rounded up. That is arithmetic without rounding: computed in single "
                "precision, logits of both networks are off by another 10⁻⁶ or so."
            ],
            proved=[
                f"Proved: at no image whatever is a logit of the ticket farther than {ticket.bound:.3g} "
                f"from the "
                f"target's. Asked for was {ticket.epsilon:g}."
            ],
        ),
        Section(
            "The answers",
            [
                "Every corrupted image lies in the same box. Where the target's margin is more than twice "
                "the bound, "
                "the ticket gives the same answer. Where it is less, a bound at the image itself is tried."
            ],
            ("images", "target", "ticket", "proved by the box", "proved", "same answer", "largest error"),
            _answers(proven.cells),
            proved=_conclusion(proven),
        ),
    ]


def _rescaled(ticket: Ticket) -> list[str]:
    """Return what is said of layers whose weights are beyond the theorems' scale."""
    beyond = [f"{name} by {scale:g}" for name, scale in ticket.rescaled.items()]
    if not beyond:
        return []
    return [
        "The theorems take weights of at most ½. Layers beyond that are rescaled, and their random numbers "
        f"with them: {', '.join(beyond)}."
    ]


def _answers(cells: Sequence[ProvedCell]) -> list[tuple[str, ...]]:
    rows = [_row("clean", cells[:1])]
    names = dict.fromkeys(cell.corruption for cell in cells[1:])
    rows += [_row(name, [one for one in cells[1:] if one.corruption == name]) for name in names]
    return rows + ([_row(f"all {len(cells) - 1} corrupted cells", cells[1:])] if names else [])


def _row(name: str, cells: Sequence[ProvedCell]) -> tuple[str, ...]:
    shares = ("target_accuracy", "ticket_accuracy", "proved", "proved_here", "alike")
    texts = [percent(mean(getattr(cell, share) for cell in cells), 1) for share in shares]
    return name, *texts, f"{max(cell.largest_error for cell in cells):.1e}"


def _conclusion(proven: Proven) -> list[str]:
    clean, *others = proven.cells
    lines = [
        f"clean: target {percent(clean.target_accuracy, 1)}, ticket {percent(clean.ticket_accuracy, 1)}; "
        f"the answer is "
        f"proved for {percent(clean.proved_here, 1)} of {clean.images} images "
        f"({percent(clean.proved, 1)} by the bound over the whole box)"
    ]
    if others:
        target, ticket, proved, here = (
            percent(mean(getattr(cell, share) for cell in others), 1)
            for share in ("target_accuracy", "ticket_accuracy", "proved", "proved_here")
        )
        lines.append(
            f"{len(others)} corrupted cells: target {target}, ticket {ticket}; proved for {here} of the "
            f"images "
            f"({proved} by the box)"
        )
    lines.append(", ".join(f"{step}: {time:.0f} s" for step, time in proven.seconds.items()))
    return lines

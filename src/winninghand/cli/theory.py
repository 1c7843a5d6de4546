"""`winninghand theory`: a card found in a random network, and its answers proved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.cli.options import (
    Corruptions,
    Data,
    Limit,
    Root,
    Seed,
    Severities,
    Threads,
    Trust,
    output_folder,
    parse_severities,
)


def theory(
    target: Annotated[
        Path | None,
        typer.Option(
            help="Card to embed; without one, a small one is trained on the images.", metavar="CARD"
        ),
    ] = None,
    epsilon: Annotated[float, typer.Option(help="How far a logit may be away, at any image.")] = 0.01,
    kind: Annotated[
        str, typer.Option(help="Random weights: float, binary, or integers for a quantized card.")
    ] = "float",
    depth: Annotated[
        str, typer.Option(help="Depth of the random network, for a target of L layers: 2L or L+1.")
    ] = "2L",
    out: Annotated[
        Path, typer.Option(help="Folder for page, figures, numbers and the ticket.", callback=output_folder)
    ] = Path("runs/theory"),
    data: Data = "digits",
    root: Root = None,
    corruptions: Corruptions = "common",
    severities: Severities = "1-5",
    limit: Limit = None,
    seed: Seed = 0,
    threads: Threads = None,
    trust: Trust = False,
) -> None:
    """Find a card in one random network, by a mask alone, and prove that it answers alike."""
    from winninghand.base.threads import use_threads
    from winninghand.cli.loading import images_for
    from winninghand.cli.measuring import as_given
    from winninghand.decks import load_card
    from winninghand.evaluation import Measurement
    from winninghand.images import load_images
    from winninghand.studies.theory import run_theory, trained_target
    from winninghand.theory.embedding import check_asked

    check_asked(epsilon, seed, kind, depth)
    use_threads(threads)
    measurement = Measurement(corruptions, parse_severities(severities), limit, seed)
    if target is None:
        images = load_images(data, root)
        card = trained_target(images, out / "target")
    else:
        card = load_card(target, trust=trust)
        images = images_for({as_given(target): card}, data, root)
    run_theory(card, images, measurement, out, epsilon, seed, kind, depth)  # type: ignore[arg-type]

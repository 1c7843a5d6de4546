"""`winninghand specialize`: one card, and norms for each of several domains, in one deck."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.base.errors import InputError
from winninghand.base.files import check_apart
from winninghand.cli import completion
from winninghand.cli.options import (
    Data,
    Device,
    GateSetting,
    Model,
    Root,
    Seed,
    SkipBroken,
    Stream,
    Threads,
    Trust,
    image_places,
    output_file,
    settings_of_gate,
)


def specialize(
    card: Model,
    out: Annotated[Path, typer.Argument(metavar="OUT.deck", callback=output_file)],
    domains: Annotated[
        str,
        typer.Option(help="Training domains, joined by commas.", autocompletion=completion.joined("domains")),
    ] = "clean,gaussian,augmix",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs for each domain.")] = 2,
    data: Data = "digits",
    root: Root = None,
    skip_broken: SkipBroken = False,
    stream: Stream = False,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train norms on a class-balanced sample of so many images; the gate is fitted on 1,000.",
        ),
    ] = None,
    gate: Annotated[
        str,
        typer.Option(
            help="How norms are chosen; see 'winninghand names gates'.",
            autocompletion=completion.names("gates"),
        ),
    ] = "weighted",
    changes: GateSetting = None,
    seed: Seed = 0,
    device: Device = None,
    threads: Threads = None,
    trust: Trust = False,
) -> None:
    """Train the norms of a card for each of several domains, and put them with its one body into a deck."""
    from winninghand.base.progress import progress_bar
    from winninghand.base.threads import use_threads
    from winninghand.cli.loading import images_for
    from winninghand.cli.measuring import as_given
    from winninghand.decks import load_card
    from winninghand.report.terminal import say
    from winninghand.training.specializing import images_to_go
    from winninghand.training.specializing import specialize as specialized

    if out.suffix == ".card":
        raise InputError(f"{out} is named as a card; what is written is a deck")
    check_apart([out], [card, *image_places(data, root)])
    names = [name.strip() for name in domains.split(",") if name.strip()]
    if not names:
        raise InputError("--domains names none; give at least one, such as --domains clean,augmix")
    settings = settings_of_gate(gate, changes, **({} if gate == "average" else {"max_active": 1}))
    use_threads(threads)
    body = load_card(card, trust=trust)
    images = images_for({as_given(card): body}, data, root, skip_broken, stream)
    with progress_bar("specializing", images_to_go(body, images, len(names), epochs, limit)) as progress:
        deck = specialized(
            body,
            images,
            names,
            epochs,
            limit=limit,
            gate=gate,
            settings=settings,
            seed=seed,
            device=device,
            progress=progress,
        )
    deck.save(out)
    size = out.stat().st_size
    say(f"{out}: one body, norms for {', '.join(names)}, gate {gate}")
    say(f"{size:,} bytes, {size / card.stat().st_size:.2f} times those of the card")

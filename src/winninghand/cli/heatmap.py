"""`winninghand heatmap`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.cli.options import Data, Json, Limit, Model, Root, Seed, write_json


def heatmap(
    model: Model,
    out: Annotated[Path, typer.Option(help="Picture to draw, .svg or .png.")],
    data: Data = "digits",
    root: Root = None,
    norm: Annotated[
        float, typer.Option(help="l2 norm of what is added to a channel, for values in 0..1.")
    ] = 4.0,
    limit: Limit = 200,
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """Draw a card's or a deck's error under one added spatial frequency at a time."""
    from winninghand.base.progress import progress_bar
    from winninghand.cli.measuring import as_given, opened
    from winninghand.evaluation import fourier_heatmap
    from winninghand.images import load_images
    from winninghand.report.heatmap import checked_picture_path, draw_heatmap
    from winninghand.report.terminal import print_heatmap
    from winninghand.spectra import half_plane

    checked_picture_path(out)
    images = load_images(data, root=root)
    player = opened(model, images)
    with progress_bar(model.name, len(half_plane(*images.test.size)), "frequencies") as progress:
        table = fourier_heatmap(player, images.test, norm, limit, seed, progress=progress)
    draw_heatmap(table, f"{model.name}: error with one frequency of norm {norm:g} added", out)
    print_heatmap(table)
    write_json({"model": as_given(model), "data": data, **table.to_json()}, json)

"""`winninghand export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.cli.options import Model


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    model: Model,
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx|OUT.pt2|OUT.safetensors|OUT.sparse.pt")],
) -> None:
    """Write a card or a deck for other tools, in the format that the name of the file ends with."""
    from winninghand.decks import load
    from winninghand.exports import export as exported
    from winninghand.report.terminal import say

    exported(load(model), out)
    say(f"{out}: {out.stat().st_size:,} bytes, from {model.stat().st_size:,} in {model}")

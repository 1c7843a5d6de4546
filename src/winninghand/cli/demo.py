"""`winninghand demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for cards, deck and report.")] = Path("runs/demo"),
) -> None:
    """Train, prune, measure and show cards and a deck on the embedded digits, in a few minutes."""
    from winninghand.studies.demo import run_demo

    run_demo(out)

"""The page that `winninghand evaluate --html` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winninghand.cards import Card
from winninghand.cli.measuring import portable
from winninghand.decks import Deck
from winninghand.evaluation import Interval, RobustnessTable, Sample


def write_page(
    path: Path,
    of: tuple[Path, str],
    player: Card | Deck,
    table: RobustnessTable,
    sample: Sample,
    compared: tuple[Path, Mapping[str, Any]] | None,
    root: bool,
) -> None:
    """Write the page of a model's file and data; `compared` names a baseline and the differences from it.

    `root` is whether a folder was named in which the data was looked for.
    """
    from winninghand.decks.bodies import bodies_of
    from winninghand.report.evaluation_page import Evaluated, evaluation_page
    from winninghand.report.samples import sample_sheet
    from winninghand.report.sections import choices_in
    from winninghand.report.terminal import say

    model, data = of
    differences = None
    if compared is not None:
        differences = {name: Interval(**interval) for name, interval in compared[1].items()}
    found = Evaluated(
        portable(model),
        portable(data),
        player.kind,
        model.stat().st_size,
        table,
        sample_sheet(sample, table) if table.cells else None,
        choices_in(table, player.cards) if player.kind == "deck" else None,
        None if compared is None else portable(compared[0]),
        differences,
        root,
        one_body=player.kind == "deck" and len(bodies_of(player.cards)) == 1,
    )
    evaluation_page(found).write(path)
    say(f"written: {path}")

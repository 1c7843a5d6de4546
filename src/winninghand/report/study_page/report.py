"""A study's report: what was found in words, and all figures, from the results alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.report.page import Step, Tile
from winninghand.report.study_page.against_dense import deck_difference_figure, difference_figure
from winninghand.report.study_page.cards import (
    accuracy_figure,
    calibration_figure,
    corruption_figures,
)
from winninghand.report.study_page.costs import size_figure
from winninghand.report.study_page.decks import choices_figure, deck_figure, deck_rows
from winninghand.report.study_page.evidence import claim_figures, failure_figure, run_figure
from winninghand.report.study_page.figure import MEAN, PLACE, Figure
from winninghand.report.study_page.findings import findings, introduction, next_steps, tiles
from winninghand.report.study_page.frequencies import fourier_figure
from winninghand.report.study_page.latex import write_latex
from winninghand.report.study_page.markdown import write_markdown
from winninghand.report.study_page.shown import shown_cards
from winninghand.results import Results


@dataclass(frozen=True)
class Report:
    """What the page, the CSV files and the LaTeX tables of a study show.

    `series` are the names of what charts colour; `filters` the values to choose among, of each key of a
    row's place that has several.
    """

    title: str
    introduction: str
    tiles: Sequence[Tile]
    findings: Sequence[str]
    figures: Sequence[Figure]
    steps: Sequence[Step]
    series: Sequence[str]
    filters: dict[str, list[str]]

    @classmethod
    def of(cls, results: Results) -> Report:
        """Make the report of what is measured so far; `InputError` where that is nothing."""
        runs = results.finished
        if not runs:
            raise InputError(f"no run of the study in {results.folder} is finished; start the study again")
        cards = shown_cards(runs)
        decks = deck_rows(results, cards)
        claims = claim_figures(results)
        judged = claims[0] if claims else None
        figures: list[Figure | None] = [accuracy_figure(cards, runs), difference_figure(cards)]
        if any(run.cells for run in runs):
            figures += corruption_figures(cards, runs)
        figures += [
            fourier_figure(results, cards),
            size_figure(cards, decks),
            calibration_figure(cards),
            deck_figure(decks),
            deck_difference_figure(results, cards),
            choices_figure(results, cards),
            *claims,
            failure_figure(results),
            run_figure(cards),
        ]
        filters = {
            key: list(dict.fromkeys(filter(None, (getattr(card.place, key) for card in cards))))
            for key in PLACE[:-1]
        }
        seeds = sorted({card.seed for card in cards if card.seed != MEAN}, key=int)
        return cls(
            results.title,
            introduction(results),
            tiles(cards, decks, judged),
            findings(cards, decks, judged),
            [figure for figure in figures if figure is not None],
            next_steps(results),
            list(dict.fromkeys(card.place.series for card in cards)),
            {**{key: values for key, values in filters.items() if len(values) > 1}, "seed": [MEAN, *seeds]},
        )

    def write_csv(self, folder: Path) -> list[Path]:
        """Write a CSV file for each figure, and return their paths."""
        return [figure.write_csv(folder) for figure in self.figures]

    def write_latex(self, folder: Path) -> list[Path]:
        """Write a LaTeX table for each figure, and a document of all of them; return their paths."""
        return write_latex(self.title, self.figures, folder)

    def write_markdown(self, path: Path) -> Path:
        """Write what was found, and the means of each figure's table, as a page of Markdown; return its path.

        Single comparisons and single runs are left out.
        """
        return write_markdown(self.title, self.introduction, self.findings, self.figures, path)

"""`winninghand report`: what a study found, as a page, and as tables for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winninghand.cli.options import output_file, output_folder, output_page


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a study, or of its results; also while it runs.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The page; without it, report.html in the study's folder.", callback=output_page),
    ] = None,
    latex: Annotated[
        Path | None,
        typer.Option(help="Also write each table as LaTeX to this folder.", callback=output_folder),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Also write each table as CSV to this folder.", callback=output_folder)
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Also write findings, claims and tables to this .md file.", callback=output_file),
    ] = None,
) -> None:
    """Show what a study found: one HTML page that works offline, with charts, filters and all tables."""
    from winninghand.base.errors import InputError
    from winninghand.base.files import check_apart, checked_output, real_path
    from winninghand.report.page import check_drawing
    from winninghand.report.study_page import Report, write_page
    from winninghand.report.study_tables import STUDY_TABLES
    from winninghand.report.terminal import say
    from winninghand.results import Results

    results = Results(folder)
    place = results.folder.parent
    page = checked_output(place / "report.html" if out is None else out)
    check_apart([page, None if markdown is None else checked_output(markdown), csv, latex], [results.folder])
    if markdown is not None and real_path(markdown) in [real_path(place / name) for name in STUDY_TABLES]:
        raise InputError(f"{markdown} is a table of the study's own; give another path")
    check_drawing()
    found = Report.of(results)
    write_page(found, page)
    say(f"written: {page}")
    if csv is not None:
        say(f"written: {len(found.write_csv(csv))} tables in {csv}")
    if latex is not None:
        say(f"written: {len(found.write_latex(latex)) - 1} tables and report.tex in {latex}")
    if markdown is not None:
        say(f"written: {found.write_markdown(markdown)}")

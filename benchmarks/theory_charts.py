"""The charts of the page on theory: checks of its laws, measured anew, beside their bounds."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from winninghand.base.charts import save_picture
from winninghand.report.theory import check_chart
from winninghand.theory.statements import STATEMENTS, TRIALS

SHOWN = ("subset-sums", "depth-2l", "signs", "depth-l-plus-1", "fixed-size")


def main() -> None:
    """Write them; it needs no data, and draws with seed 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the SVG files")
    folder = parser.parse_args().out
    for name in SHOWN:
        chart = check_chart(STATEMENTS[name].check(TRIALS, 0))
        Console().print(f"wrote {save_picture(chart, folder / f'theory-{name}.svg')}")


if __name__ == "__main__":
    main()

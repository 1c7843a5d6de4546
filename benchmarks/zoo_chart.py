"""The first picture of the README: robust accuracy of the zoo's models against the bytes of their files."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from winninghand.base.charts import save_picture
from winninghand.report.zoo_chart import robust_by_size
from winninghand.results import zoo_records


def main() -> None:
    """Draw it from the figures that lie beside the zoo's models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/zoo.svg"), help="the SVG file")
    out = parser.parse_args().out
    Console().print(f"wrote {save_picture(robust_by_size(zoo_records()), out)}")


if __name__ == "__main__":
    main()

"""Write the API reference from the docstrings: `make api` writes it to docs/api/."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pdoc
import pdoc.render

import winninghand

# The public face, then what those who add a part of their own derive it from. Each shows its `__all__`.
PACKAGES = (
    "winninghand",
    "winninghand.images",
    "winninghand.corruptions",
    "winninghand.augmentation",
    "winninghand.networks",
    "winninghand.spectra",
    "winninghand.cards",
    "winninghand.compression",
    "winninghand.decks",
    "winninghand.evaluation",
    "winninghand.metrics",
    "winninghand.exports",
    "winninghand.theory",
    "winninghand.training",
    "winninghand.results",
    "winninghand.studies",
)


def write_api(folder: Path) -> None:
    """Write HTML pages on all public names to `folder`."""
    # Names are loaded when they are first used, and the pages show only those that are loaded.
    for package in map(import_module, PACKAGES):
        for name in getattr(package, "__all__", ()):
            setattr(package, name, getattr(package, name))
    pdoc.render.configure(
        docformat="markdown", show_source=False, footer_text=f"winninghand {winninghand.__version__}"
    )
    pdoc.pdoc(*PACKAGES, output_directory=folder)


if __name__ == "__main__":
    write_api(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "api"))

"""The tutorials run from their first cell to their last, shortened; `make docs` runs them as they are."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

TUTORIALS = sorted((Path(__file__).parent.parent / "docs/tutorials").glob("*.ipynb"))

AT_LENGTH = re.compile(r'("epochs": |\bepochs = |\blimit=)\d+')
SEEDS = re.compile(r"\bseed = \[0, .*\]")


def shortened(source):
    """Return a cell that trains one seed for one epoch and measures few images."""
    short = AT_LENGTH.sub(lambda found: found[1] + ("20" if "limit" in found[1] else "1"), source)
    return SEEDS.sub("seed = [0]", short)


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path, tmp_path, monkeypatch):
    if "microcontroller" in path.stem and shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    # Shells in its cells call the command of this environment.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    # Two tests run at once, and threads that wait for each other take longer than one.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    for cell in notebook.cells:
        cell.source = shortened(cell.source)
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()

"""Every block of Python in the documents runs, page by page, on a small prepared world."""

from __future__ import annotations

import re
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest

import prepared_world
import winninghand as wh
from winninghand import recipe
from winninghand.base import catalog
from winninghand.base.registry import Registry

ROOT = Path(__file__).parent.parent
ELSEWHERE = {
    "extending": "test_extending.py",
    "hub": "hub/test_hub_page.py",
    "your-own-loop": "compression/test_your_own_loop.py",
    "theory": "theory/test_theory_page.py",
}
"""Pages that tests of their own run, in a world of their own."""
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SLOW = {"README", "evaluation", "import-export", "training"}
NEEDED = re.compile(r"pip install 'winninghand\[[\w,]+\]'")
"""What a block says that wants an extra."""
PAGES = [
    path
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
    if path.stem not in ELSEWHERE and BLOCK.search(path.read_text(encoding="utf-8"))
]


class OneEpoch(recipe.FineTuning):
    """What `wh.compress` trains by here: a page shows its defaults, which would take a minute."""

    epochs: int = 1


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNINGHAND_CACHE", str(folder / "cache"))
        prepared_world.prepare(folder)
    return folder


@pytest.fixture
def place(world, tmp_path, monkeypatch):
    """A copy of the world as the present folder; what a page registers is forgotten after it."""
    place = tmp_path / "place"
    shutil.copytree(world, place)
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("WINNINGHAND_CACHE", str(place / "cache"))
    monkeypatch.setattr(recipe, "FineTuning", OneEpoch)
    monkeypatch.setattr(import_module("winninghand.training.train"), "LEAST_STEPS", 1)
    # The words of a script that shows what an exported file says.
    monkeypatch.setattr(sys, "argv", ["classify", "a.onnx", "a.jpg"])
    for registry in vars(catalog).values():
        if isinstance(registry, Registry):
            monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    yield place
    sys.modules.pop("my_networks", None)


@pytest.mark.parametrize("page", ELSEWHERE)
def test_a_page_that_is_left_out_here_runs_elsewhere(page):
    assert f"{page}.md" in (ROOT / "tests" / ELSEWHERE[page]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if page.stem in SLOW else [])
        for page in PAGES
    ],
)
def test_the_blocks_of_a_page_run_in_order(page, place):
    text = page.read_text(encoding="utf-8")
    names = {"__name__": "page", **prepared_world.names(place)}
    missing = []
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1))
        try:
            exec(compile("\n" * line + block[1], str(page), "exec"), names)
        except wh.InputError as error:
            extra = NEEDED.search(str(error))
            if extra is None:
                raise
            missing.append(extra[0])
    if missing:  # all other blocks were run
        pytest.skip(f"{page.name} needs what is not here: {', '.join(missing)}")

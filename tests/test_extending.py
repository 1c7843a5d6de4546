"""A stranger's morning: docs/extending.md, followed word for word, in a folder of its own."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import winninghand as wh

PAGE = (Path(__file__).parent.parent / "docs/extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
BLOCKS = re.findall(r"(?<!`\n\n)^```(sh|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PROJECT = tomllib.loads(FILES["pyproject.toml"])["project"]
POINTS = {group.removeprefix("winninghand."): names for group, names in PROJECT["entry-points"].items()}
PROGRAM = "from winninghand.cli import main; main()"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the page's files, and what pip makes of the page's pyproject.toml."""
    folder = tmp_path_factory.mktemp("morning")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "morning/__init__.py").touch()
    information = folder / f"{PROJECT['name']}-{PROJECT['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Name: {PROJECT['name']}\nVersion: {PROJECT['version']}\n")
    groups = (
        "\n".join([f"[winninghand.{kind}]", *(f"{name} = {value}" for name, value in names.items())])
        for kind, names in POINTS.items()
    )
    (information / "entry_points.txt").write_text("\n".join(groups))
    return folder


def run(place, *words):
    """Run Python in the folder, with the package beside what is installed."""
    path = os.pathsep.join([str(place), str(Path(wh.__file__).parent.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "WINNINGHAND_CACHE": str(place / "cache")}
    done = subprocess.run(
        [sys.executable, *words], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_has_a_part_of_every_kind():
    kinds = {"methods", "networks", "corruptions", "domains", "gates", "image_sets", "executors"}
    assert kinds == set(POINTS)
    assert [language for language, _ in BLOCKS] == ["sh", "python"]


@pytest.mark.slow
def test_what_the_page_says_works(place):
    commands, program = (text for _, text in BLOCKS)
    outputs = {}
    for line in commands.splitlines():
        name, *words = shlex.split(line)
        assert name == "winninghand"
        outputs[words[0]] = run(place, "-c", PROGRAM, *words)
    for kind in wh.names():
        listed = next(line for line in outputs["names"].splitlines() if line.startswith(f"{kind}: "))
        assert set(POINTS.get(kind, ())) <= set(listed.removeprefix(f"{kind}: ").split(", "))
    document = json.loads((place / "a.json").read_text())
    assert [cell["corruption"] for cell in document["cells"]] == ["stripes"] * 5
    assert document["clean_accuracy"] > 0.9

    ending = """
from winninghand.decks import inspect_file
print(deck.gate, wh.load("a.deck").gate, card.metadata.domain["name"])
print(inspect_file("runs/a/card.card")["sparsity"])
"""
    accuracies, parts, sparsity = run(place, "-c", program + ending).splitlines()
    assert float(accuracies.split()[0]) == document["clean_accuracy"]
    assert parts.split() == ["soft", "soft", "grey"]
    assert float(sparsity) == pytest.approx(0.5, abs=0.01)

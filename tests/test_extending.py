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
MORNING = """
import contextlib, io, json, sys
from winninghand.cli import main

commands, program = json.loads(sys.argv[1])
printed = []
for words in commands:
    sys.argv = words
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as leaving:
            assert not leaving.code, words
    printed.append(out.getvalue())
with contextlib.redirect_stdout(io.StringIO()) as out:
    exec(program, {"__name__": "page"})
print(json.dumps([*printed, out.getvalue()]))
"""
"""One process for all of it: each of its own would import everything anew."""


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


def run(place, commands, program):
    """Run commands and a program in the folder, with the package beside what is installed.

    Return what each of them printed.
    """
    path = os.pathsep.join([str(place), str(Path(wh.__file__).parent.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "WINNINGHAND_CACHE": str(place / "cache")}
    words = [sys.executable, "-c", MORNING, json.dumps([commands, program])]
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_has_a_part_of_every_kind():
    kinds = {"methods", "networks", "corruptions", "domains", "gates", "image_sets", "executors"}
    assert kinds == set(POINTS)
    assert [language for language, _ in BLOCKS] == ["sh", "python"]


@pytest.mark.slow
def test_what_the_page_says_works(place):
    commands, program = (text for _, text in BLOCKS)
    commands = [shlex.split(line) for line in commands.splitlines()]
    assert {words[0] for words in commands} == {"winninghand"}
    ending = """
from winninghand.decks import inspect_file
print(deck.gate, wh.load("a.deck").gate, card.metadata.domain["name"])
print(inspect_file("runs/a/card.card")["sparsity"])
"""
    *printed, told = run(place, commands, program + ending)
    names = next(out for words, out in zip(commands, printed, strict=True) if words[1] == "names")
    for kind in wh.names():
        listed = next(line for line in names.splitlines() if line.startswith(f"{kind}: "))
        assert set(POINTS.get(kind, ())) <= set(listed.removeprefix(f"{kind}: ").split(", "))
    document = json.loads((place / "a.json").read_text())
    assert [cell["corruption"] for cell in document["cells"]] == ["stripes"] * 5
    assert document["clean_accuracy"] > 0.9

    accuracies, parts, sparsity = told.splitlines()
    assert float(accuracies.split()[0]) == document["clean_accuracy"]
    assert parts.split() == ["soft", "soft", "grey"]
    assert float(sparsity) == pytest.approx(0.5, abs=0.01)

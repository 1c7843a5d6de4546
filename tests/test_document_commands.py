"""Commands and TOML in the documents: every option is there, every table is what it says it is."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from winninghand.base import catalog
from winninghand.base.registry import Registry
from winninghand.cli.commands import COMMANDS, make_program
from winninghand.hub.pins import Pin
from winninghand.recipe import Recipe, make_recipe
from winninghand.studies import Study

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
    if path.name != "CHANGELOG.md"  # it speaks of what was, too
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(winninghand [a-z][^`]*)`")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS = {one.group for one in vars(catalog).values() if isinstance(one, Registry)}
UNFINISHED = ("MissingParameter", "BadOptionUsage")
"""What is no fault of words within a sentence: an argument left out, an option without its value."""


def lines():
    """Yield (page, command) for each line of a shell in a block: `…` or `$ …`, and long ones in one."""
    for page, text in PAGES.items():
        for language, block in FENCE.findall(text):
            if language in ("", "sh", "yaml"):
                for line in block.replace("\\\n", " ").splitlines():
                    command = re.sub(r"^\s*(entrypoint: |\$ )?", "", line)
                    if command.startswith(("winninghand ", "make ", "pip install ")):
                        yield page, command


def parse(words):
    """Let the program read words as it does, but do nothing: no file is looked for, no command runs."""
    name, *rest = words
    group = typer.main.get_command(make_program([name]))
    if name.startswith("-"):
        own = [option for parameter in group.params for option in parameter.opts]
        assert name in (*own, "--help"), f"winninghand has no option {name}"
        return
    assert name in COMMANDS, f"winninghand {name} is no command"
    command = group.commands[name]
    for parameter in command.params:
        parameter.callback = None
    command.make_context(name, rest, parent=typer.Context(group))


def told(page, command, part=False):
    """Return what the program says against a command, or an empty list."""
    # Choices of a synopsis, as [--opset 20], are taken; what a shell does with the output is left out.
    plain = re.sub(r"\[(--[^\]]*)\]", r"\1", command)
    words = shlex.split(plain.partition(" | ")[0], comments=True)[1:]
    try:
        parse(words)
    except typer.Exit:  # help was asked for
        pass
    except (AssertionError, typer.TyperException) as error:
        if not part or type(error).__name__ not in UNFINISHED:
            return [f"{page}: {command}: {error}"]
    return []


def test_every_command_of_a_block_has_the_options_that_it_is_given():
    commands = [(page, line) for page, line in lines() if line.startswith("winninghand ")]
    assert len(commands) > 40
    assert [fault for page, line in commands for fault in told(page, line)] == []


def test_every_example_of_the_help_has_the_options_that_it_is_given():
    examples = {name: command.examples for name, command in COMMANDS.items()}
    assert all(examples.values())
    assert [fault for name in examples for one in examples[name] for fault in told(name, one)] == []


def test_the_page_of_the_command_line_names_all_commands():
    table = PAGES[Path("docs/command-line.md")].partition("## All commands")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([\w-]+)`:", table)) == COMMANDS.keys()


def test_every_command_within_a_sentence_has_the_options_that_it_is_given():
    commands = [(page, words) for page, text in PAGES.items() for words in INLINE.findall(text)]
    assert len(commands) > 20
    assert [fault for page, words in commands for fault in told(page, " ".join(words.split()), True)] == []


def test_what_is_made_and_installed_is_there():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    found = [(page, line) for page, line in lines() if not line.startswith("winninghand ")]
    made = {words[1] for _, line in found if (words := line.split())[0] == "make"}
    assert made and made <= targets
    extras = {
        one for _, line in found for part in re.findall(r"\[([\w,]+)\]", line) for one in part.split(",")
    }
    assert extras and extras <= PROJECT["optional-dependencies"].keys()


TABLES = {
    page.stem: [tomllib.loads(block) for language, block in FENCE.findall(text) if language == "toml"]
    for page, text in PAGES.items()
    if page.stem != "extending"  # it names what its own package brings, and runs in test_extending.py
}


@pytest.mark.parametrize(
    ("page", "table"),
    [
        pytest.param(page, table, id=f"{page}-{number}")
        for page, tables in TABLES.items()
        for number, table in enumerate(tables, 1)
    ],
)
def test_a_table_is_a_recipe_a_study_a_pin_or_names_parts_of_a_package(page, table):
    if "project" in table:
        points = table["project"]["entry-points"]
        assert points.keys() <= GROUPS
        for place in (place for group in points.values() for place in group.values()):
            assert re.fullmatch(r"[\w.]+:\w+", place)
    elif "sha256" in table:
        Pin.model_validate(table)
    elif table.keys() <= Recipe.model_fields.keys():
        # Where a library is not installed, its networks are not known.
        make_recipe(table, known_network=":" not in str(table.get("network")))
    else:  # a part of a study belongs to the one that the page begins with
        whole = next(one for one in TABLES[page] if "sweeps" in one)
        Study.model_validate({**whole, **table})


@pytest.mark.parametrize(
    "command",
    [
        "winninghand trian",
        "winninghand train --epocs 3",
        "winninghand benchmark a.card --threads two",
        "winninghand evaluate",
    ],
)
def test_a_command_at_fault_is_found(command):
    assert told("a page", command)

"""The table of commands, and the program made of it: a new command is a function and its line here.

The file of a command is imported when the command is called for, and imports what it needs inside the
command: so help comes at once, without PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

COMMANDS = {
    "demo": "study:demo",
    "train": "train:train",
    "evaluate": "evaluate:evaluate",
    "heatmap": "evaluate:heatmap",
    "inspect": "show:inspect",
    "deck": "deck:deck",
    "specialize": "specialize:specialize",
    "profile": "profile:profile",
    "predict": "predict:predict",
    "benchmark": "benchmark:benchmark",
    "import": "exchange:import_",
    "export": "exchange:export",
    "corrupt": "corrupt:corrupt",
    "show-augmentation": "train:show_augmentation",
    "study": "study:study",
    "report": "report:report",
    "theory": "theory:theory",
    "names": "show:names",
    "zoo": "show:zoo",
}
"""Where each command's function lies, as `file:function` of this folder, in the order of the help."""

RESUMED = frozenset({"demo", "train", "corrupt", "study"})
"""Commands that go on where they were when they are run again."""


def make_program(words: Sequence[str]) -> typer.Typer:
    """Return the program that understands `words`: of one command where they name one, or else of all."""
    program = typer.Typer(
        name="winninghand",
        help="Compact, accurate and robust image classifiers, played as decks.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback(invoke_without_command=True)(_without_command)
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        file, _, function = COMMANDS[name].partition(":")
        program.command(name)(getattr(import_module(f"winninghand.cli.{file}"), function))
    return program


def _without_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from winninghand.base.version import __version__

        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())

"""The table of commands, and the program made of it: a new command is a function and its line here.

The file of a command is imported when the command is called for, and imports what it needs inside the
command: so help comes at once, without PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, NamedTuple

import typer

from winninghand.cli.completion import PROGRAM


class Command(NamedTuple):
    """A command: where its function lies, what people do with it, and examples, each in one line."""

    place: str
    """`file:function` of this folder."""
    task: str
    """The heading that it stands under in the program's help."""
    examples: tuple[str, ...]


COMMANDS = {
    "demo": Command("study:demo", "Begin", ("winninghand demo --out runs/demo",)),
    "zoo": Command("show:zoo", "Begin", ("winninghand zoo",)),
    "names": Command("show:names", "Begin", ("winninghand names methods",)),
    "train": Command(
        "train:train",
        "Train",
        (
            "winninghand train recipe.toml --data photos --size 64 --out runs/a",
            "winninghand train --set compression.method=gmp --dry-run",
        ),
    ),
    "specialize": Command(
        "specialize:specialize", "Train", ("winninghand specialize a.card a.deck --domains clean,augmix",)
    ),
    "show-augmentation": Command(
        "train:show_augmentation", "Train", ("winninghand show-augmentation recipe.toml --out views.png",)
    ),
    "evaluate": Command(
        "evaluate:evaluate",
        "Measure",
        (
            "winninghand evaluate zoo:cifar10-lrr95-hand --data cifar10 --limit 1000",
            "winninghand evaluate a.card --corruptions fog,snow --baseline b.card",
        ),
    ),
    "inspect": Command("show:inspect", "Measure", ("winninghand inspect zoo:cifar10-lrr95-deck",)),
    "heatmap": Command(
        "evaluate:heatmap",
        "Measure",
        ("winninghand heatmap zoo:cifar10-lrr95-augmix --data cifar10 --out map.svg",),
    ),
    "benchmark": Command(
        "benchmark:benchmark", "Measure", ("winninghand benchmark zoo:cifar10-lrr95-hand --batch 1,64",)
    ),
    "predict": Command("predict:predict", "Play", ("winninghand predict a.deck photos/ --csv answers.csv",)),
    "app": Command(
        "app:app",
        "Play",
        (
            "winninghand app runs/demo/deck.deck",
            "winninghand app zoo:cifar10-lrr95-hand --data cifar10",
        ),
    ),
    "deck": Command(
        "deck:deck",
        "Play",
        (
            "winninghand deck a.deck a.card b.card --gate average",
            "winninghand deck a.deck runs/ --gate weighted --budget 3MB --data digits",
        ),
    ),
    "profile": Command(
        "profile:profile", "Play", ("winninghand profile a.deck --data cifar10 --out b.deck",)
    ),
    "import": Command(
        "exchange:import_",
        "Exchange",
        ("winninghand import weights.pt a.card --architecture resnet18 --classes cifar10",),
    ),
    "export": Command(
        "exchange:export",
        "Exchange",
        (
            "winninghand export zoo:cifar10-lrr95-hand hand.onnx",
            "winninghand export a.card a.onnx --quantize int8 --data cifar10",
        ),
    ),
    "publish": Command(
        "publish:publish",
        "Exchange",
        (
            "winninghand publish a.card owner/name --licence mit --results figures.json",
            "winninghand publish zoo:cifar10-lrr95-hand owner/name --dry-run",
        ),
    ),
    "corrupt": Command(
        "corrupt:corrupt", "Exchange", ("winninghand corrupt --data cifar10 --out data/CIFAR-10-C",)
    ),
    "study": Command("study:study", "Study", ("winninghand study study.toml --out runs/study --plan",)),
    "report": Command("report:report", "Study", ("winninghand report runs/study --latex tables",)),
    "theory": Command("theory:theory", "Study", ("winninghand theory --target a.card --epsilon 0.01",)),
}
"""All commands by name, in the order of the help."""

RESUMED = frozenset({"demo", "train", "corrupt", "study"})
"""Commands that go on where they were when they are run again."""


def make_program(words: Sequence[str]) -> typer.Typer:
    """Return the program that understands `words`: of one command where they name one, or else of all."""
    program = typer.Typer(
        name=PROGRAM,
        help="Compact, accurate and robust image classifiers, played as decks.",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback(invoke_without_command=True)(_without_command)
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        place, task, examples = COMMANDS[name]
        file, _, function = place.partition(":")
        # In help, what an empty line divides are lines.
        shown = "\n\n".join(("Examples:" if len(examples) > 1 else "Example:", *examples))
        program.command(name, rich_help_panel=task, epilog=shown)(
            getattr(import_module(f"winninghand.cli.{file}"), function)
        )
    return program


def _without_command(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print what a report of a fault should say, and leave.")
    ] = False,
) -> None:
    if version:
        from winninghand.cli.about import about

        for line in about():
            typer.echo(line)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())

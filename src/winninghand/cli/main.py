"""The program `winninghand`: its commands, and what becomes of errors."""

from __future__ import annotations

import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from winninghand.base.errors import InputError
from winninghand.base.version import __version__
from winninghand.cli import (  # one module per command
    corrupt,
    deck,
    demo,
    evaluate,
    export,
    heatmap,
    import_,
    inspect,
    names,
    predict,
    show_augmentation,
    study,
    train,
    zoo,
)

app = typer.Typer(
    name="winninghand",
    help="Compact, accurate and robust image classifiers, played as decks.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    demo,
    train,
    evaluate,
    heatmap,
    inspect,
    deck,
    predict,
    import_,
    export,
    corrupt,
    show_augmentation,
    study,
    names,
    zoo,
)
for command in COMMANDS:
    command.add_to(app)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the program: exit code 0 done, 1 an unexpected fault, 2 bad input, told in one line."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        code = _complain(f"winninghand: {' '.join(error.format_message().split())}")
    except InputError as error:
        code = _complain(f"winninghand: {error}")
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("winninghand: interrupted; run the same command again to go on", code=130)
    except Exception as error:
        code = _complain(f"winninghand: {type(error).__name__}: {error} (details in {_log()})", code=1)
    sys.exit(code or 0)


def _complain(message: str, code: int = 2) -> int:
    sys.stderr.write(message + "\n")
    return code


def _log() -> Path:
    """Keep the traceback of the exception at hand in a file of its own, and return its path."""
    with tempfile.NamedTemporaryFile("w", prefix="winninghand-", suffix=".log", delete=False) as file:
        traceback.print_exc(file=file)
    return Path(file.name)

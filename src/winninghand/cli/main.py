"""The program `winninghand`: runs a command, and says what became of it."""

from __future__ import annotations

import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer

import winninghand
from winninghand.base.deprecation import OldNameWarning
from winninghand.base.errors import InputError
from winninghand.cli.commands import RESUMED, make_program

_INTERRUPTED = 130


def main() -> None:
    """Run the program: exit code 0 done, 1 an unexpected fault, 2 bad input, told in one line.

    Whoever interrupts it (Ctrl-C) gets exit code 130, as of a shell, and how to go on.
    """
    words = sys.argv[1:]
    with _short_warnings():
        sys.exit(_run(words))


def _run(words: list[str]) -> int:
    try:
        # The parser turns an interruption into an exit code.
        code: int = make_program(words)(args=words, standalone_mode=False) or 0
    except typer.TyperException as error:
        return _complain(" ".join(error.format_message().split()))
    except InputError as error:
        return _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except Exception as error:
        return _complain(f"{type(error).__name__}: {error} (details in {_log()})", code=1)
    if code == _INTERRUPTED:
        resumed = bool(words) and words[0] in RESUMED
        what = (
            "run the same command again to go on where it was" if resumed else "nothing half-written is left"
        )
        return _complain(f"interrupted; {what}", code)
    return code


def _complain(message: str, code: int = 2) -> int:
    sys.stderr.write(f"winninghand: {message}\n")
    return code


def _log() -> Path:
    """Keep the traceback of the exception at hand in a file of its own, and return its path."""
    with tempfile.NamedTemporaryFile("w", prefix="winninghand-", suffix=".log", delete=False) as file:
        traceback.print_exc(file=file)
    return Path(file.name)


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Show this library's own warnings, old names among them, as one line each."""
    package = Path(winninghand.__file__).parent
    with warnings.catch_warnings():
        warnings.simplefilter("default", OldNameWarning)
        as_usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, OldNameWarning) or Path(filename).is_relative_to(package):
                sys.stderr.write(f"winninghand: {' '.join(str(message).split())}\n")
            else:
                as_usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield

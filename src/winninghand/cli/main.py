"""The program `winninghand`: runs a command, and says what became of it."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

import typer

import winninghand
from winninghand.base.deprecation import OldNameWarning
from winninghand.base.errors import InputError, shown
from winninghand.base.files import DISK_ERRORS
from winninghand.cli import completion
from winninghand.cli.commands import COMMANDS, RESUMED, make_program

_INTERRUPTED = 130
_LONGEST = 2000


def main() -> None:
    """Run the program: exit code 0 done, 1 an unexpected fault, 2 bad input, told in one line.

    Interrupted, it says how to go on, with the exit code that a shell would give: 130 after Ctrl-C, 143
    after the SIGTERM of a scheduler.
    """
    words = sys.argv[1:]
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show every letter
    with _short_warnings(), _short_log(), _told_of_interruptions() as interrupted:
        sys.exit(_run(words, interrupted))


def _run(words: list[str], interrupted: Callable[[], int] = lambda: 0) -> int:
    try:
        _check_surroundings(words)
        if completion.is_asked(words):
            return completion.answer(words, make_program)
        # The parser turns an interruption into an exit code.
        code: int = make_program(words)(args=words, standalone_mode=False) or 0
        sys.stdout.flush()
    except typer.TyperException as error:
        return _complain(f"{error.format_message()}{_example(error, words)}")
    except InputError as error:
        return _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except BrokenPipeError:
        return _without_output(1)
    except BaseException as error:  # another package's code may even end the program
        if isinstance(error.__context__, BrokenPipeError):  # of which the parser makes an end of the program
            return _without_output(1)
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return _without_output(
                _complain(f"cannot write {error.filename or 'the output'}: {error.strerror}")
            )
        if not interrupted():
            from winninghand.base.registry import blamed  # needed by nothing that works

            told = blamed(error)
            if told is not None:
                return _complain(f"{told}{_log()}")
            return _complain(f"{type(error).__name__}: {error}{_log()}", code=1)
        code = _INTERRUPTED  # within a library that made another error of it
    if code == _INTERRUPTED:
        resumed = bool(words) and words[0] in RESUMED
        what = (
            "run the same command again to go on where it was" if resumed else "nothing half-written is left"
        )
        return _complain(f"interrupted; {what}", 128 + (interrupted() or signal.SIGINT))
    return code


def _example(error: typer.TyperException, words: list[str]) -> str:
    """Return an example of the command where an argument of it is missing."""
    if type(error).__name__ != "MissingParameter" or not words or words[0] not in COMMANDS:
        return ""
    return f" For example: {COMMANDS[words[0]].examples[0]}"


def _open_closed_streams() -> None:
    """Let no file that is read or written take the place of a standard stream that is closed."""
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the operating system gives the least number that is free
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (for as long as the program runs)


def _check_surroundings(words: list[str]) -> None:
    """Raise `InputError` where no command could do what it says: no output, no place, no value."""
    if sys.stdout is None:
        raise InputError("standard output is closed; open it, or send it to /dev/null")
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError("the current folder does not exist any more; change to another one") from None
    for word in words:
        # As of a shell's variable that is not set. Taken for a path it would be the current folder.
        if word == "" or (word.startswith("--") and word.endswith("=")):
            raise InputError(f"{word or 'an argument'} is empty; give it a value or leave it out")


@contextmanager
def _told_of_interruptions() -> Iterator[Callable[[], int]]:
    """Yield what gives the signal of an interruption, 0 before one, whatever became of its exception."""
    seen: list[int] = []

    def told(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    # Not what a caller chose, such as to ignore it.
    replaced = {number: handler for number, handler in usual.items() if signal.getsignal(number) is handler}
    if threading.current_thread() is not threading.main_thread():
        replaced = {}
    for number in replaced:
        signal.signal(number, told)
    try:
        yield lambda: seen[0] if seen else 0
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def _complain(message: str, code: int = 2) -> int:
    """Print one line, whatever the message holds, and return the exit code."""
    _say(message)
    return code


def _say(message: str) -> None:
    """Print one line on standard error, unless that takes nothing."""
    try:
        sys.stderr.write(f"winninghand: {_line(message)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _let_go(sys.stderr)


def _line(message: str) -> str:
    return shown(" ".join(message.split()), _LONGEST)


def _without_output(code: int) -> int:
    _let_go(sys.stdout)
    return code


def _let_go(stream: TextIO) -> None:
    """Let go of a stream that takes nothing more, which Python would complain of at its end."""
    with suppress(OSError, ValueError):  # a stream that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _log() -> str:
    """Keep the traceback of the exception at hand in a file of its own, and say where."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="winninghand-", suffix=".log", delete=False) as file:
            traceback.print_exc(file=file)
    except OSError:  # no room for it
        return ""
    return f" (details in {file.name})"


class _Lines(logging.Handler):
    """Prints what the library logs, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(record.getMessage())


@contextmanager
def _short_log() -> Iterator[None]:
    """Show what this library logs as one line each."""
    log, lines = logging.getLogger("winninghand"), _Lines(logging.WARNING)
    log.addHandler(lines)
    try:
        yield
    finally:
        log.removeHandler(lines)


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Show this library's own warnings, old names among them, as one line each."""
    package, seen = Path(winninghand.__file__).parent, set()
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
                said = _line(str(message))
                if said not in seen:  # a study has many recipes of the same old keys
                    _say(said)
                seen.add(said)
            else:
                as_usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield

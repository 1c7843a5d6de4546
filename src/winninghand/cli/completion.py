"""What a shell completes: commands, options, and the names that options take. Nothing named is imported."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from itertools import pairwise

import typer

from winninghand.base.errors import InputError

PROGRAM = "winninghand"
_ASKED = "_WINNINGHAND_COMPLETE"
_FLAGS = ("--install-completion", "--show-completion")
_BREAKS = frozenset(":=")
"""Where bash ends a word, though neither a shell nor this program does."""

Completer = Callable[[str], list[str]]


def words(*known: str) -> Completer:
    """Return what completes an option that takes one of these words."""
    return lambda incomplete: list(known)


def names(kind: str, before: str = "") -> Completer:
    """Return what completes the names of a kind of `wh.names`."""
    return lambda incomplete: [before + name for name in _known(kind)]


def joined(kind: str, *more: str) -> Completer:
    """Return what completes names of a kind that are joined by commas, or one of `more`."""

    def complete(incomplete: str) -> list[str]:
        before = incomplete[: incomplete.rfind(",") + 1]
        return [before + name for name in (*more, *_known(kind))]

    return complete


def models(incomplete: str) -> list[str]:
    """Complete the zoo's models once a word begins as they do: of anything else a shell knows the files."""
    return names("zoo", "zoo:")(incomplete) if incomplete else []


def settings(incomplete: str) -> list[str]:
    """Complete those settings of a recipe whose values are names."""
    keys = {"compression.method": "methods", "domain": "domains", "network": "networks"}
    return [f"{key}={name}" for key, kind in keys.items() for name in _known(kind)]


def is_asked(words: Sequence[str]) -> bool:
    """Tell whether a shell asks for completions, or a person for the script that has it ask."""
    return _ASKED in os.environ or bool(words and words[0] in _FLAGS)


def answer(words: Sequence[str], make_program: Callable[[Sequence[str]], typer.Typer]) -> int:
    """Answer a shell or a person (see `is_asked`), and return the exit code.

    Raises `InputError` for a shell that cannot complete, and where its settings cannot be written.
    """
    there = _mend(os.environ)
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(io.StringIO()):
            program = make_program(typed.split()[1:2])
            code = program(args=list(words), prog_name=PROGRAM, standalone_mode=False) or 0
    except SystemExit as end:  # of the parser, once it has answered
        code = int(end.code or 0)
    except OSError as error:
        raise InputError(
            f"cannot write {error.filename}: {error.strerror}; --show-completion prints what would be added"
        ) from None
    if code and _ASKED not in os.environ:
        raise InputError(f"{words[0]} is for bash, zsh, fish and PowerShell; run it within one of them")
    for line in said.getvalue().splitlines():
        typer.echo(line.removeprefix(there))
    return int(code)


def _mend(environment: MutableMapping[str, str]) -> str:
    """Join words that bash broke at a colon or an equals sign; return what it has of the last one already."""
    if not environment.get(_ASKED, "").endswith("_bash"):
        return ""
    with suppress(ValueError):  # a quotation that has not ended, a place that is no number
        place = int(environment.get("COMP_CWORD", ""))
        broken = [*shlex.split(environment.get("COMP_WORDS", "")), ""][: place + 1]
        whole = broken[:1]
        for before, word in pairwise(broken):
            if word and (word[0] in _BREAKS or before[-1:] in _BREAKS):
                whole[-1] += word
            else:
                whole.append(word)
        environment["COMP_WORDS"] = "\n".join(shlex.quote(word) for word in whole)
        environment["COMP_CWORD"] = str(len(whole) - 1)
        return whole[-1][: max(whole[-1].rfind(mark) for mark in _BREAKS) + 1]
    return ""


def _known(kind: str) -> Sequence[str]:
    from winninghand.catalog import names as known

    return known(kind)

"""The command line: one file per command."""

from winninghand.cli.main import main

__all__ = ["main"]

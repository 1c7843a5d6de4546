"""The command line; `commands.py` holds the table of commands."""

from winninghand.cli.main import main

__all__ = ["main"]

"""Where and with what a study's models are measured."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch

from winninghand.training.identity import environment


def ran_on(device: torch.device, precision: str, network: str = "") -> dict[str, Any]:
    """Return what `About` says of the machine, the versions and the precision of this process.

    Among the versions is that of the library which a `network` of this name comes from.
    """
    return {"commit": commit(), **environment(device, precision, network)}


@cache
def commit() -> str | None:
    """Return the commit of this library's source, None where it does not lie in a repository of its own."""
    here = Path(__file__)
    try:
        # A library installed below somebody's repository is not part of it.
        _git(here.parent, "ls-files", "--error-unmatch", here.name)
        return _git(here.parent, "rev-parse", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True, timeout=10)
    return done.stdout.strip()

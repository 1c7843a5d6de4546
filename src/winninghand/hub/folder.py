"""The folder that a model's repository on the hub is: its file, and its page."""

from __future__ import annotations

import shutil
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write, checked_output, write_text
from winninghand.hub.page import About, Facts, checked_licence, page
from winninghand.hub.pins import sha256_of

PAGE = "README.md"


def write_folder(folder: Path, file: Path, facts: Facts, about: About) -> tuple[Path, ...]:
    """Write a model's repository into a folder, which is made: `model.card` or `model.deck`, and `README.md`.

    `file` is the model's own. Returns the files. Raises `InputError` for a folder that holds anything, for a
    full disk and for what cannot be a licence.
    """
    checked_licence(about.licence)
    checked_folder(folder)
    text = page(facts, about, file.stat().st_size, sha256_of(file))
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"model.{facts.kind}"
    with atomic_write(model) as tmp:
        shutil.copyfile(file, tmp)
    write_text(text, folder / PAGE)
    return model, folder / PAGE


def checked_folder(folder: Path) -> Path:
    """Return a folder that a repository can be written into; `InputError` for one that holds anything."""
    checked_output(folder, folder=True)
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} holds something; give a new or an empty folder")
    return folder

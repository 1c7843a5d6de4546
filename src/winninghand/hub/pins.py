"""Pinned models: a repository, a commit and the digest of its file, which nobody can change unseen."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winninghand.base.errors import InputError, first_error
from winninghand.base.toml import read_toml
from winninghand.hub.address import Address, checked_repository
from winninghand.hub.fetching import fetch


class Pin(BaseModel):
    """One file of one commit on the hub, and the SHA-256 of its bytes, as 64 hexadecimal digits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    file: Annotated[str, Field(pattern=r"\.(card|deck)$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def address(self) -> Address:
        """Where the file lies."""
        return Address(checked_repository(self.repository), self.file, self.revision)


def read_pin(path: Path) -> Pin:
    """Return the pin in a TOML file; `InputError` for one that is none."""
    try:
        return Pin.model_validate(read_toml(path, "the pinned model"))
    except ValidationError as error:
        raise InputError(f"{path}: {first_error(error)}") from None


def fetch_pinned(path: Path) -> Path:
    """Return the file that a pin stands for, from the hub or its cache, checked each time.

    Raises `InputError` where its digest is another, and as `fetch` does.
    """
    pin = read_pin(path)
    found = fetch(pin.address)
    digest = sha256_of(found)
    if digest != pin.sha256:
        raise InputError(
            f"{pin.address} has the SHA-256 {digest}, not {pin.sha256} as is pinned; delete {found} if your "
            "copy is damaged, and else do not use it"
        )
    return found


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Image files, each of which is a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from winninghand.base.errors import InputError
from winninghand.images.checks import Int64Array
from winninghand.images.encoded import Encoded


@dataclass(frozen=True, eq=False)
class PictureFiles(Encoded):
    """Image files below `folder`; `names` are their paths from there."""

    folder: Path
    names: tuple[str, ...]
    labels: Int64Array

    def name(self, place: int) -> str:
        """Return the path of a file."""
        return str(self.folder / self.names[place])

    def content(self, place: int) -> Path:
        """Return the path of a file."""
        return self.folder / self.names[place]

    def stamp(self, places: Int64Array) -> bytes:
        """Return names and lengths of the files at some places."""
        names = (self.names[place] for place in places.tolist())
        text = "\n".join(f"{Path(name).as_posix()} {self._length(name)}" for name in names)
        return text.encode("utf-8", "surrogateescape")

    def _length(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_size
        except OSError as error:
            raise InputError(f"{self.folder / name} cannot be read ({error.strerror}); put it back") from None

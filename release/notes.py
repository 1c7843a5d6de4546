"""The notes of a release: the changelog's section, readable away from the repository."""

from __future__ import annotations

import re
from pathlib import Path

from release.agreement import sections

LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)\s]+)\)")


def notes(root: Path, version: str) -> str:
    """Return the notes of a version, as Markdown; those of what is unreleased where it has no section.

    Links into the repository become plain words, as they lead nowhere from the place of a release.
    """
    known = sections(root)
    name = version if version in known else "Unreleased"
    date, text = known[name]
    plain = LINK.sub(
        lambda link: f"{link[1]} ({link[2].partition('#')[0]})" if link[2][0] != "#" else link[1], text
    )
    return f"# winninghand {version}{f', {date}' if date else ''}\n\n{plain}\n"

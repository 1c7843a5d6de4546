"""Do version, changelog, citation, recipe of conda and the tree say the same of a release?"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import yaml

CHANGELOG, CITATION, RECIPE = "CHANGELOG.md", "CITATION.cff", "release/conda/recipe.yaml"
SECTION = re.compile(
    r"^## \[([^\]]+)\](?: - (\d{4}-\d\d-\d\d))?\n(.*?)(?=^## \[|\Z)", re.MULTILINE | re.DOTALL
)


def version_of(root: Path) -> str:
    """Return the version that pyproject.toml says."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def sections(root: Path) -> dict[str, tuple[str | None, str]]:
    """Return date and text of each version in the changelog."""
    text = (root / CHANGELOG).read_text(encoding="utf-8")
    return {version: (date or None, body.strip()) for version, date, body in SECTION.findall(text)}


def faults(root: Path) -> list[str]:
    """Return what stands against a release of a checkout, each in one line; an empty list for nothing."""
    version, found = version_of(root), []
    date, text = sections(root).get(version, (None, ""))
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        found.append(f"pyproject.toml says {version}; set the version to be released, such as 1.2.3")
    elif not text:
        found.append(f"{CHANGELOG} tells nothing of it; make ## [Unreleased] ## [{version}] - YYYY-MM-DD")
    elif date is None:
        found.append(f"{CHANGELOG} gives no date of {version}; write ## [{version}] - YYYY-MM-DD")
    elif sections(root).get("Unreleased", (None, ""))[1]:
        found.append(f"{CHANGELOG} has changes that are unreleased; move them below ## [{version}]")
    citation = _table(root / CITATION)
    found += _differs(CITATION, "version", citation.get("version"), version)
    if date is not None:
        found += _differs(CITATION, "date-released", citation.get("date-released"), date)
    found += _differs(RECIPE, "version", _table(root / RECIPE)["context"]["version"], version)
    if changed := _git(root, "status", "--porcelain"):
        found.append(f"the tree is not clean; commit or remove {', '.join(_paths(changed))}")
    if _git(root, "tag", "--list", tag_of(version)):
        found.append(f"the tag {tag_of(version)} is there already; take another version")
    return found


def tag_of(version: str) -> str:
    """Return the tag of a version."""
    return f"v{version}"


def make_tag(root: Path, version: str) -> None:
    """Tag the commit that is checked out."""
    _git(root, "tag", "--annotate", tag_of(version), "--message", f"winninghand {version}")


def _differs(file: str, key: str, there: object, wanted: str) -> list[str]:
    if str(there) == wanted:
        return []
    return [f"{file} says {key}: {'nothing' if there is None else there}; it must be {wanted}"]


def _table(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return table


def _paths(status: str) -> list[str]:
    paths = [line[3:] for line in status.splitlines()]
    return paths if len(paths) < 5 else [*paths[:4], f"{len(paths) - 4} more"]


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", root, *words], check=True, capture_output=True, text=True)
    return done.stdout.rstrip()

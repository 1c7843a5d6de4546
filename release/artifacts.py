"""Wheel and source distribution: built, checked, installed and tried."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")
SMOKE = Path(__file__).parent / "smoke"


def build(root: Path, folder: Path) -> tuple[Path, Path]:
    """Build the wheel from the source distribution, and that from the checkout; return both files."""
    _run(sys.executable, "-m", "build", "--outdir", folder, root)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def check(root: Path, wheel: Path, source: Path) -> list[str]:
    """Return what is wrong with both files, each in one line; what is of twine's it prints itself."""
    _run(sys.executable, "-m", "twine", "check", "--strict", wheel, source)
    return [*_beyond_the_package(wheel), *_beyond_the_repository(root, source)]


def _beyond_the_package(wheel: Path) -> Iterator[str]:
    with zipfile.ZipFile(wheel) as file:
        for name in file.namelist():
            top = name.partition("/")[0]
            if top != "winninghand" and not top.endswith(".dist-info"):
                yield f"{wheel.name} holds {name}, which is none of the package"


def _beyond_the_repository(root: Path, source: Path) -> Iterator[str]:
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout.split("\0")
    known = {*listed, "PKG-INFO"}
    with tarfile.open(source) as file:
        for member in file.getmembers():
            name = member.name.partition("/")[2]
            if member.isfile() and name not in known:
                yield f"{source.name} holds {name}, which Git does not know"


def pythons(given: list[str]) -> dict[str, str]:
    """Return the interpreters to try, by version: those that are given, or else those on the path."""
    found = {}
    for path in given or [f"python{version}" for version in VERSIONS]:
        ask = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
        where = shutil.which(path)
        if where is None:
            continue
        done = subprocess.run([where, "-c", ask], capture_output=True, text=True, check=False)
        if done.returncode == 0:  # and no shim of a version that is not installed
            found[done.stdout.strip()] = where
    return found


def try_out(python: str, root: Path, artifact: Path) -> None:
    """Install a file into a clean environment of an interpreter, under the constraints, and train with it."""
    _run("bash", SMOKE, artifact, cwd=root, env={**os.environ, "PYTHON": python})


def sha256(path: Path) -> str:
    """Return a file's digest, as recipes of conda have it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(*words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    subprocess.run(words, check=True, cwd=cwd, env=env)

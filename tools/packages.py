"""What this environment holds of the project's packages: as a lock file, or as a bill of materials.

`python tools/packages.py lock FILE` writes the versions of all packages that the project, its development
extra included, asks for. `python tools/packages.py sbom FILE` writes the same as a CycloneDX document (JSON,
version 1.5, https://cyclonedx.org/docs/1.5/json/) with what depends on what.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PROJECT = "winninghand"
# The frost textures are installed without what the package asks for, most of which is never imported.
ALONE = "imagecorruptions"


def packages() -> dict[str, Distribution]:
    """Return the installed packages that the project asks for, by normal names, the project left out."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(f"{PROJECT}[development]")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        package = distribution(requirement.name)
        found[_normal(requirement.name)] = package
        for extra in ("", *sorted(requirement.extras)):
            if (requirement.name, extra) not in seen:
                seen.add((requirement.name, extra))
                waiting += _wanted(package, extra)
    del found[PROJECT]
    try:
        found[ALONE] = distribution(ALONE)
    except PackageNotFoundError:
        pass
    return dict(sorted(found.items()))


def lock() -> str:
    """Return the text of the lock file."""
    lines = [f"{name}=={_version(package)}" for name, package in packages().items()]
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    head = [
        f"# The versions that all tests were last run with, on {system}. `make lock` writes this file.",
        f"# To have them: pip install --no-deps -r requirements-tested.txt, then pip install --no-deps {PROJECT}",
    ]
    return "\n".join([*head, *lines]) + "\n"


def sbom() -> str:
    """Return the bill of materials."""
    found = packages()
    own = distribution(PROJECT)
    everything = {PROJECT: own, **found}
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _component(PROJECT, own, "library")},
        "components": [_component(name, package, "library") for name, package in found.items()],
        "dependencies": [
            {"ref": _purl(name, package), "dependsOn": _depends_on(package, everything)}
            for name, package in everything.items()
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _wanted(package: Distribution, extra: str) -> list[Requirement]:
    """Return what a package asks for here, with an extra or without; what is not installed is left out."""
    wanted = []
    for text in package.requires or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            distribution(requirement.name)
        except PackageNotFoundError:
            continue
        wanted.append(requirement)
    return wanted


def _component(name: str, package: Distribution, kind: str) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": kind,
        "bom-ref": _purl(name, package),
        "name": name,
        "version": _version(package),
        "purl": _purl(name, package),
    }
    licence = package.metadata.get("License-Expression")
    if licence:
        component["licenses"] = [{"expression": licence}]
    return component


def _depends_on(package: Distribution, everything: dict[str, Distribution]) -> list[str]:
    names = {_normal(requirement.name) for requirement in _wanted(package, "")}
    return sorted(_purl(name, everything[name]) for name in names & everything.keys())


def _purl(name: str, package: Distribution) -> str:
    return f"pkg:pypi/{name}@{_version(package)}"


def _version(package: Distribution) -> str:
    """Return a version without the build that it is of, such as `+cpu`."""
    return package.version.partition("+")[0]


def _normal(name: str) -> str:
    """Return a package's name as indices compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    _, what, path = sys.argv
    Path(path).write_text({"lock": lock, "sbom": sbom}[what](), encoding="utf-8")

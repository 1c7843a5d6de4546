"""How a release is made: what must agree, what its notes say, what its files hold."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from release import agreement
from release.artifacts import check, pythons
from release.notes import notes

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
RECIPE = yaml.safe_load((ROOT / agreement.RECIPE).read_text(encoding="utf-8"))
CHANGES = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-12-01

### Added

- One thing ([decks](docs/decks.md#gates), [a paper](https://example.org/a), [above](#added)).

## [1.1.0]

- An old thing.
"""
FILES = {
    "pyproject.toml": '[project]\nversion = "1.2.0"\n',
    "CHANGELOG.md": CHANGES,
    "CITATION.cff": "version: 1.2.0\ndate-released: 2026-12-01\n",
    agreement.RECIPE: "context:\n  version: 1.2.0\n",
}
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs Git")


def git(folder, *words):
    named = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(["git", "-C", folder, *named, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a checkout in which all agree on 1.2.0."""
    for key in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{key}_NAME", "a")
        monkeypatch.setenv(f"GIT_{key}_EMAIL", "a@b.c")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--message", "a")
    return tmp_path


@needs_git
def test_a_version_is_released_once(checkout):
    assert agreement.faults(checkout) == []
    agreement.make_tag(checkout, "1.2.0")
    assert agreement.faults(checkout) == ["the tag v1.2.0 is there already; take another version"]


@needs_git
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("pyproject.toml", "1.2.0", "1.2.0.dev0", "set the version to be released, such as 1.2.3"),
        ("CHANGELOG.md", "[1.2.0]", "[1.3.0]", "make ## [Unreleased] ## [1.2.0] - YYYY-MM-DD"),
        ("CHANGELOG.md", " - 2026-12-01", "", "CHANGELOG.md gives no date of 1.2.0"),
        ("CHANGELOG.md", "[Unreleased]\n", "[Unreleased]\n\n- One more.\n", "move them below ## [1.2.0]"),
        ("CITATION.cff", "1.2.0", "1.1.0", "CITATION.cff says version: 1.1.0; it must be 1.2.0"),
        ("CITATION.cff", "date-released: 2026-12-01", "", "date-released: nothing; it must be 2026-12-01"),
        (agreement.RECIPE, "1.2.0", "1.1.0", "recipe.yaml says version: 1.1.0; it must be 1.2.0"),
    ],
)
def test_what_differs_stands_against_a_release(checkout, name, old, new, said):
    path = checkout / name
    path.write_text(path.read_text().replace(old, new))
    told = agreement.faults(checkout)
    assert any(said in fault for fault in told)
    assert f"the tree is not clean; commit or remove {name}" in told


@needs_git
def test_the_notes_are_the_changelog_without_links_into_the_repository(checkout):
    assert notes(checkout, "1.2.0") == (
        "# winninghand 1.2.0, 2026-12-01\n\n### Added\n\n"
        "- One thing (decks (docs/decks.md), [a paper](https://example.org/a), above).\n"
    )
    assert "An old thing" in notes(checkout, "1.1.0")


def test_the_notes_of_the_version_in_the_making_are_those_of_what_is_unreleased():
    said = notes(ROOT, PROJECT["version"])
    assert said.startswith(f"# winninghand {PROJECT['version']}") and "### Added" in said
    assert "](docs/" not in said


@needs_git
def test_files_hold_the_package_and_the_repository_alone(tmp_path, monkeypatch, checkout):
    wheel, source = tmp_path / "a.whl", tmp_path / "a.tar.gz"
    with zipfile.ZipFile(wheel, "w") as file:
        for name in ("winninghand/__init__.py", "winninghand-1.2.0.dist-info/METADATA", "tests/a.py"):
            file.writestr(name, "")
    with tarfile.open(source, "w:gz") as file:
        for name in ("pyproject.toml", "PKG-INFO", "secret.txt"):
            (tmp_path / name).touch()
            file.add(tmp_path / name, f"winninghand-1.2.0/{name}")
    monkeypatch.setattr("release.artifacts._run", lambda *words: None)  # twine
    assert check(checkout, wheel, source) == [
        "a.whl holds tests/a.py, which is none of the package",
        "a.tar.gz holds secret.txt, which Git does not know",
    ]


def test_it_is_tried_on_each_python_that_runs(tmp_path):
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert pythons([sys.executable, str(shim), str(tmp_path / "none")]) == {version: sys.executable}


def test_conda_s_recipe_has_the_project_s_dependencies():
    elsewhere = {"pytorch": "torch", "huggingface_hub": "huggingface-hub"}
    python, *others = RECIPE["requirements"]["run"]
    asked = dict(one.split(" ") for one in others)
    assert {f"{elsewhere.get(name, name)}{bound}" for name, bound in asked.items()} == set(
        PROJECT["dependencies"]
    )
    assert python == "python >=${{ python_min }}"
    assert f">={RECIPE['context']['python_min']}" == PROJECT["requires-python"]
    ((name, place),) = PROJECT["scripts"].items()
    assert RECIPE["build"]["python"]["entry_points"] == [f"{name} = {place}"]
    assert RECIPE["about"]["summary"] == PROJECT["description"]
    assert RECIPE["about"]["license"] == PROJECT["license"] == CITATION["license"]


def test_all_say_the_same_version():
    assert {RECIPE["context"]["version"], CITATION["version"]} == {PROJECT["version"]}


def test_the_citation_names_the_authors_of_the_software_and_of_the_paper():
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()  # what the format requires
    assert CITATION["authors"] == PROJECT["authors"]
    (paper,) = CITATION["references"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert [one["family-names"] for one in paper["authors"]] == [
        "Diffenderfer", "Bartoldson", "Chaganti", "Zhang", "Kailkhura",
    ]  # fmt: skip

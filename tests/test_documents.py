"""What the documents name is there: modules, names, files and pages."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from winninghand.base import catalog
from winninghand.base.registry import Registry
from winninghand.studies import load_study, planned

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/winninghand"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
GROUPS = {one.group for one in vars(catalog).values() if isinstance(one, Registry)}
# Of the repository any file, also in a command; of the package folders and Python files, since people's own
# folders have `results/` too. The API reference is made with the site.
FILES = re.compile(r"(?<![\w./-])((?:benchmarks|docs|recipes|studies|tests)/(?!api)[\w./-]*[\w/])")
SOURCES = re.compile(
    rf"`((?:{'|'.join(one.name for one in PACKAGE.iterdir() if one.is_dir())})/(?:[\w/]+\.py)?)`"
)
COMMAND = re.compile(r"python -m (benchmarks\.\w+)")


def found(pattern, page):
    """Return what a pattern finds in a page, each once."""
    return sorted(set(re.findall(pattern, page.read_text(encoding="utf-8"))))


def is_there(dotted):
    """Tell whether a dotted name is a module, or something in one."""
    module, _, rest = dotted.partition(".")
    thing = import_module(module)
    for part in rest.split("."):
        module += f".{part}"
        if not hasattr(thing, part):
            try:
                import_module(module)
            except ModuleNotFoundError:
                return False
        thing = getattr(thing, part)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_what_is_there(page):
    dotted = [name for name in found(r"\bwinninghand(?:\.[A-Za-z_]\w*)+", page) if name not in GROUPS]
    dotted += [f"winninghand.{name}" for name in found(r"\bwh\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)", page)]
    assert [name for name in dotted if not is_there(name)] == []
    missing = [path for path in found(FILES, page) if not (ROOT / path).exists() | (PACKAGE / path).exists()]
    missing += [path for path in found(SOURCES, page) if not (PACKAGE / path).exists()]
    missing += [name for name in found(r"`(\w+\.py)`", page) if not any(ROOT.glob(f"[!.]*/**/{name}"))]
    modules = {name: ROOT / name.replace(".", "/") for name in found(COMMAND, page)}
    missing += [
        name
        for name, path in modules.items()
        if not path.with_suffix(".py").is_file() and not (path / "__main__.py").is_file()
    ]
    links = [link for link in found(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page) if not link.startswith("api/")]
    missing += [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_the_lengths_of_studies_are_those_of_their_plans():
    page = (ROOT / "docs/studies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(studies/\S+\.toml)` \|.*\| ([\d,]+) \| ([\d,]+) \|$", page, re.MULTILINE)
    assert len(rows) == 6
    for path, epochs, apart in rows:
        plan = planned(load_study(ROOT / path), yes=True)
        assert (epochs, apart) == (f"{plan.epochs:,.0f}", f"{plan.epochs_apart:,.0f}"), path

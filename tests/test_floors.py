"""Data flows one way: no file imports from a floor above its own, whatever the form of the import."""

import ast
import re
from pathlib import Path

import pytest

import winninghand

SOURCE = Path(winninghand.__file__).parent

# Every folder, and every file beside them, stands on one floor.
FLOORS = {
    **dict.fromkeys(["base", "hub", "zoo"], -1),
    **dict.fromkeys(["images", "corruptions", "augmentation", "networks", "spectra"], 0),
    **dict.fromkeys(["cards", "compression", "transforms"], 1),
    **dict.fromkeys(["decks", "engine", "evaluation"], 2),
    **dict.fromkeys(["results", "theory", "exports", "metrics"], 3),
    **dict.fromkeys(["training", "recipe", "runtimes"], 4),
    **dict.fromkeys(["studies", "report"], 5),
    **dict.fromkeys(["app", "cli", "catalog", "__init__", "__main__"], 6),
}
# On one floor a folder may know these neighbours, and no others.
NEIGHBOURS = {
    "__init__": {"catalog"},
    "__main__": {"cli"},
    "cards": {"compression"},
    "cli": {"__init__", "app", "catalog"},
    "engine": {"decks"},
    "evaluation": {"decks"},
    "studies": {"report"},
    "training": {"recipe"},
    "hub": {"base"},
    "zoo": {"base", "hub"},
}
FILES = sorted(SOURCE.rglob("*.py"))


def module_of(path):
    parts = ("winninghand", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def imported(path):
    """Yield the library's modules that a file imports, relatively and inside functions too."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        else:
            continue
        for name in names:
            while name and name not in MODULES:
                name = name.rpartition(".")[0]
            if name:
                yield name


def room(module):
    return module.split(".")[1] if "." in module else "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path):
    here = room(module_of(path))
    for module in imported(path):
        other = room(module)
        assert other == here or FLOORS[other] <= FLOORS[here], f"{here} imports {other}, which is above it"
        assert other == here or FLOORS[other] < FLOORS[here] or other in NEIGHBOURS.get(here, ()), (
            f"{here} imports its neighbour {other}"
        )


def test_no_circles():
    """No module is imported, directly or over others, by what it imports itself."""
    graph = {module_of(path): set(imported(path)) - {module_of(path)} for path in FILES}
    finished, under_way = set(), []

    def visit(module):
        if module in finished:
            return
        assert module not in under_way, " -> ".join([*under_way[under_way.index(module) :], module])
        under_way.append(module)
        for other in sorted(graph[module]):
            visit(other)
        finished.add(under_way.pop())

    for module in sorted(graph):
        visit(module)


def test_floors_see_every_form_of_import(tmp_path, monkeypatch):
    source = (
        "from . import b\nimport winninghand.c\nimport_module('winninghand.e')\n"
        "def f():\n    from winninghand import d\n"
    )
    (tmp_path / "a.py").write_text(source)
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    names = {"winninghand", "winninghand.a", "winninghand.b", "winninghand.c", "winninghand.d"}
    names.add("winninghand.e")
    monkeypatch.setitem(globals(), "MODULES", names)
    assert set(imported(tmp_path / "a.py")) == names - {"winninghand", "winninghand.a"}


def test_the_page_on_architecture_shows_these_floors():
    page = (Path(__file__).parent.parent / "docs/architecture.md").read_text(encoding="utf-8")
    shown = re.findall(r"^(-?\d) +(\w+(?: · \w+)*)(?:  |$)", page, re.MULTILINE)
    assert {name: int(floor) for floor, names in shown for name in names.split(" · ")} == FLOORS

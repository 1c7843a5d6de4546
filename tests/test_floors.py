"""Data flows one way: no file imports from a floor above its own."""

import ast
from pathlib import Path

import pytest

import winninghand

SOURCE = Path(winninghand.__file__).parent

FLOORS = {
    **dict.fromkeys(
        ["errors", "registry", "files", "randomness", "progress", "device", "version", "zoo"], -1
    ),
    **dict.fromkeys(["images", "corruptions", "augmentation", "networks", "spectra"], 0),
    **dict.fromkeys(["cards", "compression"], 1),
    **dict.fromkeys(["decks", "evaluation", "exports"], 2),
    **dict.fromkeys(["training", "recipe"], 3),
    **dict.fromkeys(["studies", "report"], 4),
    **dict.fromkeys(["cli", "catalog", "__init__"], 5),
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("winninghand."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith("winninghand.")
            )


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path):
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    for other in imported(path):
        assert other == room or FLOORS[other] <= FLOORS[room], f"{room} imports {other}"
        assert other == room or FLOORS[room] != 0 or FLOORS[other] < 0, (
            f"{room} imports its neighbour {other}"
        )

"""How the package is built and what it costs to start; in one file, so that it can measure an older checkout.

    python -m benchmarks.architecture [--source FOLDER_OF_THE_PACKAGE] [--verbose]

A file counts as run where one of its functions is called, once everything is imported and warm. Not
seen are functions without lines of their own (a dataclass's `__init__`) and compiled ones. Imports
are read from the source, wherever they stand there; not seen are those of a computed name.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata, util
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "winninghand"
FLOORS = {
    **dict.fromkeys(["base", "errors", "registry", "files", "locks", "randomness", "progress"], -1),
    **dict.fromkeys(["device", "version", "zoo", "pixels", "hub"], -1),
    **dict.fromkeys(["images", "corruptions", "augmentation", "networks", "spectra"], 0),
    **dict.fromkeys(["cards", "compression", "transforms"], 1),
    **dict.fromkeys(["decks", "engine", "evaluation"], 2),
    **dict.fromkeys(["results", "theory", "exports", "metrics"], 3),
    **dict.fromkeys(["training", "recipe", "runtimes"], 4),
    **dict.fromkeys(["studies", "report"], 5),
    **dict.fromkeys(["cli", "app", "catalog", "__init__", "__main__"], 6),
}
FLOWS = {  # in this order: the first leaves the card that the others take
    "train": "recipe → card",
    "play": "card → logits",
    "cell": "one cell of the table",
    "corrupt": "the corruption alone",
    "gate": "a batch through a gate",
}
SIZES = {  # network, corruption, what the cell is measured on
    "small": ("conv2", "contrast", "a card"),
    "large": ("resnet18", "motion_blur", "a deck, a sample, to JSON"),
}
STARTS = {  # code, where {} does what the installed program does
    "import winninghand": "import winninghand",
    "winninghand names gates": "import sys; sys.argv[:] = ['winninghand', 'names', 'gates']; {}",
    "winninghand --help": "import sys; sys.argv[:] = ['winninghand', '--help']; {}",
    "import winninghand.cards, winninghand.decks": "import winninghand.cards, winninghand.decks",
}
HEAVY = ("torch", "torch._dynamo")
REPEATS = 5
SHORT = 30  # lines


class Module(NamedTuple):
    """A file of the package; `folder` is its top-level folder, or its own name at the top level."""

    path: Path
    folder: str
    lines: int
    tree: ast.Module


class Edge(NamedTuple):
    """An import of one module by another; `types` says that it is for type checkers only."""

    module: str
    target: str
    types: bool


# What runs.


def prepare(flow: str, size: str, folder: Path) -> Callable[[], object]:
    """Return what is traced. Recipe and images, and the card if one is taken, are made beforehand."""
    import numpy as np
    import torch

    import winninghand as wh

    torch.set_num_threads(1)
    network, corruption, _ = SIZES[size]
    labels = np.arange(64) % 2
    noise = np.random.default_rng(0).integers(0, 128, (64, 32, 32, 3))
    pixels = (noise + 127 * labels[:, None, None, None]).astype(np.uint8)
    images = wh.ImageSet.from_arrays((pixels, labels), (pixels, labels), ["dark", "bright"])
    batch, path = torch.rand(8, 3, 32, 32), folder / f"{size}.card"
    if flow == "train":
        recipe = wh.Recipe(
            network={"name": network, "width": 4},
            compression={"method": "lrr", "sparsity": 0.5, "fraction_per_round": 0.5},
            training={"epochs": 1, "batch_size": 16},
        )
        return lambda: wh.train(recipe, images, out=tempfile.mkdtemp(dir=folder)).save(path)
    card: Any = wh.load(path)
    deck = wh.Deck([card, card], gate="weighted")
    asked: dict[str, Any] = {"corruptions": [corruption], "severities": [3]}
    return {
        "play": lambda: wh.load(path)(batch),
        "cell": lambda: wh.evaluate(card, images.test, **asked),
        "cell of a deck": lambda: wh.evaluate(deck, images.test, **asked, limit=32).to_json(),
        "corrupt": lambda: wh.corrupt(pixels, corruption, 3),
        "gate": lambda: deck(batch),
    }["cell of a deck" if flow == "cell" and size == "large" else flow]


def trace(flow: str, size: str, folder: Path, source: Path) -> dict[str, Any]:
    """Run a flow twice in this process; say which functions the second run calls, in any thread."""
    root, called, listening = f"{source}{os.sep}", set(), False

    def listen(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if listening and event == "call" and code.co_filename.startswith(root):
            called.add((code.co_filename.removeprefix(root), code.co_firstlineno, code.co_name))

    threading.setprofile(listen)  # before the first run, which may start threads that stay
    step = prepare(flow, size, folder)
    step()
    sys.setprofile(listen)
    listening = True
    step()
    listening = False
    sys.setprofile(None)
    return {
        "files": sorted({file for file, _, name in called if name != "<module>"}),
        "functions": sum(not name.startswith("<") for _, _, name in called),
        "imported": sum(name.partition(".")[0] == PACKAGE for name in sys.modules),
    }


# What the source says.


def read(folder: Path) -> dict[str, Module]:
    """Return all modules below a folder by their full names."""
    modules = {}
    for full in sorted(folder.rglob("*.py")):
        path, text = full.relative_to(folder), full.read_text(encoding="utf-8")
        parts = path.parent.parts if path.stem == "__init__" else path.with_suffix("").parts
        top = path.parts[0].removesuffix(".py")
        modules[".".join((PACKAGE, *parts))] = Module(path, top, len(text.splitlines()), ast.parse(text))
    return modules


def edges_of(modules: dict[str, Module]) -> list[Edge]:
    """Return all imports of one module of the package by another, once each."""
    found = set()
    for name, module in modules.items():
        for node, types in nodes(module.tree):
            for full in imported(node, name, module.path.stem == "__init__"):
                target = full if full in modules else full.rpartition(".")[0]
                if target in modules and target != name:
                    found.add(Edge(name, target, types))
    return sorted(edge for edge in found if not edge.types or edge._replace(types=False) not in found)


def nodes(node: ast.AST, types: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Give every node below one, and whether it stands under `if TYPE_CHECKING`."""
    guard = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    for child in ast.iter_child_nodes(node):
        inside = types or (guard and child in getattr(node, "body", ()))
        yield child, inside
        yield from nodes(child, inside)


def imported(node: ast.AST, module: str, is_package: bool) -> list[str]:
    """Return the full names of what a node imports: of modules, or of names in modules."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        here = module.split(".")
        start = here[: len(here) + is_package - node.level] if node.level else []
        return [".".join([*start, *filter(None, [node.module]), alias.name]) for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        return [str(one.value) for one in node.args if isinstance(one, ast.Constant)]
    return []


def circles(edges: Iterable[Edge]) -> list[str]:
    """Return the sets of modules that all import each other, over however many steps."""
    imports = defaultdict(set)
    for edge in edges:
        imports[edge.module].add(edge.target)
    reach = {}
    for module in imports:
        seen: set[str] = set()
        ahead = [module]
        while ahead:
            new = imports.get(ahead.pop(), set()) - seen
            seen |= new
            ahead.extend(new)
        reach[module] = seen
    found = {tuple(sorted(b for b in reach[a] if a in reach.get(b, ()))) for a in reach}
    return [" ↔ ".join(circle) for circle in sorted(found) if len(circle) > 1]


def forks(tree: ast.AST) -> Counter[str]:
    """Count the `isinstance` calls that ask for a Card, a Deck, or either."""
    count: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
            names = {getattr(one, "id", getattr(one, "attr", "")) for one in ast.walk(node.args[1])}
            count[" or ".join(sorted(names & {"Card", "Deck"}))] += 1
    del count[""]
    return count


# What it costs.


def seconds(code: str, environment: dict[str, str]) -> float:
    """Return the CPU seconds, user and system, of the fastest of some fresh processes."""
    spent = []
    for _ in range(REPEATS + 1):  # the first may still have to compile and to read the disk
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent[1:])


def loads(code: str, environment: dict[str, str]) -> list[str]:
    """Say for each heavy module whether it is loaded when the code ends."""
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {code}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    return ["yes" if name in done.stderr.split() else "no" for name in HEAVY]


def needed(name: str, extras: Iterable[str] = (), seen: dict[str, set[str]] | None = None) -> set[str]:
    """Return a distribution and all that it needs on this machine, over however many steps."""
    seen, name = {} if seen is None else seen, canonicalize_name(name)
    new = {"", *extras} - seen.setdefault(name, set())
    seen[name] |= new
    try:
        wanted = [Requirement(line) for line in metadata.requires(name) or ()] if new else []
    except metadata.PackageNotFoundError:
        wanted = []
    for one in wanted:
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in new):
            needed(one.name, one.extras, seen)
    return set(seen)


def megabytes(name: str) -> float:
    """Return the size on disk of a distribution's recorded files, 0 where it is not installed."""
    try:
        paths = [Path(str(file.locate())) for file in metadata.distribution(name).files or ()]
    except metadata.PackageNotFoundError:
        return 0.0
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


# The page.


def table(title: str, head: str, rows: Iterable[Iterable[object]]) -> None:
    """Print a Markdown table, its first column to the left and the others to the right."""
    print(f"\n## {title}\n\n| {head} |\n| ---{' | ---:' * head.count('|')} |")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")


def listed(title: str, items: Iterable[str]) -> None:
    """Print a title with the number of items, and the items."""
    items = list(items)
    print(f"\n**{title}: {len(items)}**\n" + "".join(f"\n- {item}" for item in items))


def show_flows(source: Path, environment: dict[str, str], verbose: bool) -> None:
    """Trace each flow in a process of its own; one that fails says why on standard error."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for flow, size in ((flow, size) for flow in FLOWS for size in SIZES):
            options = ["--source", str(source), "--flow", flow, "--size", size, "--folder", folder]
            command = [sys.executable, "-P", str(Path(__file__).resolve()), *options]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
            found[flow, size] = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    head = "flow"
    rows: list[list[object]] = [[title] for title in FLOWS.values()]
    for size in SIZES:
        head += f" | {size}: files run | functions run | files imported by then"
        for row, flow in zip(rows, FLOWS, strict=True):
            one = found[flow, size]
            row += [len(one["files"]), one["functions"], one["imported"]] if one else ["failed", "", ""]
    table("Files run", head, rows)
    for size, (network, corruption, cell) in SIZES.items():
        print(f"\n{size}: {network} of width 4, {corruption}, the cell on {cell}")
    for (flow, size), one in found.items() if verbose else ():
        listed(f"{FLOWS[flow]}, {size}", one["files"] if one else [])


def show_source(modules: dict[str, Module]) -> None:
    """Show sizes, circles, upward imports and forks."""
    sizes = defaultdict(list)
    for module in modules.values():
        sizes[module.folder if len(module.path.parts) > 1 else "(top level)"].append(module.lines)
    sizes["**all**"] = [module.lines for module in modules.values()]
    rows = (
        (name, len(all_), sum(all_), f"{sum(all_) / len(all_):.1f}", sum(n <= SHORT for n in all_), max(all_))
        for name, all_ in sizes.items()
    )
    table("Size", f"folder | files | lines | mean | of {SHORT} lines or fewer | longest", rows)
    print(f"\nThe longest file is {max(modules.values(), key=lambda one: one.lines).path.as_posix()}.")

    print("\n## Imports")
    edges = edges_of(modules)
    found = circles(edge for edge in edges if not edge.types)
    listed("Circles of modules", found)
    listed("Circles only with imports for type checkers", (one for one in circles(edges) if one not in found))
    ways = [(modules[edge.module].folder, modules[edge.target].folder, edge) for edge in edges]
    up = [edge for a, b, edge in ways if a in FLOORS and b in FLOORS and FLOORS[a] < FLOORS[b]]
    listed("Upward imports", (f"{one.module} → {one.target}" for one in up if not one.types))
    listed("Upward imports for type checkers", (f"{one.module} → {one.target}" for one in up if one.types))
    across = {(a, b) for a, b, _ in ways}
    pairs = sorted((a, b) for a, b in across if a < b and (b, a) in across and FLOORS.get(a) == FLOORS.get(b))
    listed("Circles of folders on one floor", (f"{a} ↔ {b}" for a, b in pairs))
    listed("Folders without a floor", sorted({module.folder for module in modules.values()} - set(FLOORS)))

    count = {module.path.as_posix(): forks(module.tree) for module in modules.values()}
    total = sum(count.values(), Counter())
    kinds = ", ".join(f"{number} × {kind}" for kind, number in sorted(total.items()))
    print(f"\n**`isinstance` forks on Card or Deck: {total.total()}** ({kinds or 'none'})\n")
    print("\n".join(f"- {path}: {one.total()}" for path, one in count.items() if one))


def show_costs(environment: dict[str, str]) -> None:
    """Show CPU time at the start, what is loaded then, and the size of what must be installed."""
    (script,) = metadata.entry_points(group="console_scripts", name=PACKAGE)
    program = f"from {script.module} import {script.attr} as main; main()"
    starts = {title: code.format(program) for title, code in STARTS.items()}
    bare = seconds("pass", environment)
    rows = [
        (f"`{title}`", f"{seconds(code, environment) - bare:.2f}", *loads(code, environment))
        for title, code in starts.items()
    ]
    loaded = " | ".join(f"`{name}` loaded" for name in HEAVY)
    table("Start", f"start | CPU seconds beyond the bare interpreter's | {loaded}", rows)
    print(f"\nThe bare interpreter takes {bare:.3f} CPU seconds. Each is the least of {REPEATS} processes.")

    sizes = {name: megabytes(name) for name in needed(PACKAGE) - needed("torch") - {PACKAGE}}
    rows = [(name, f"{size:.1f}") for name, size in sorted(sizes.items(), key=lambda one: (-one[1], one))]
    table("Core dependencies beside torch and what torch needs", "distribution | MB", rows)
    print(f"\n**Together: {sum(sizes.values()):.0f} MB in {len(sizes)} distributions**")
    listed("Not installed", sorted(name for name, size in sizes.items() if not size))


def main() -> None:
    """Print everything, or be the process that traces one flow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", type=Path, help="the package's folder (default: the installed one's)")
    parser.add_argument("--verbose", action="store_true", help="list the files that each flow runs")
    parser.add_argument("--flow", choices=FLOWS, help=argparse.SUPPRESS)
    parser.add_argument("--size", choices=SIZES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    spec = util.find_spec(PACKAGE)
    source = arguments.source or (Path(spec.origin).parent if spec and spec.origin else None)
    if source is None or not (source / "__init__.py").is_file():
        parser.error(f"{PACKAGE} is not found; name its folder with --source")
    source = source.resolve()
    if arguments.flow:
        print(json.dumps(trace(arguments.flow, arguments.size, arguments.folder, source)))
        return
    environment = {**os.environ, "PYTHONPATH": str(source.parent), "OMP_NUM_THREADS": "1"}
    print(f"# {PACKAGE}, measured", flush=True)
    show_flows(source, environment, arguments.verbose)
    show_source(read(source))
    show_costs(environment)


if __name__ == "__main__":
    main()

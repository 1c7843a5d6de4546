"""RobustBench's corruption entries for CIFAR, of its own classes, imported as docs/import-export.md says."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch

from benchmarks.robustbench_zoo import model_zoos
from winninghand.cards.importing import Import
from winninghand.decks.importing import import_model

try:
    ZOOS = model_zoos()
except ImportError as missing:
    pytest.skip(f"RobustBench cannot be imported: {missing}", allow_module_level=True)

ENTRIES = {
    f"{data}-{name}": entry["model"]
    for data, models in ZOOS.items()
    for name, entry in models.common_corruptions.items()
}
PAGE = Path(__file__).parents[2] / "docs" / "import-export.md"


def documented(name):
    """Return the import of an entry, by its row of the page's table."""
    table = PAGE.read_text().split("| RobustBench's entries |")[1].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        entries, architecture, options = (cell.strip() for cell in line.strip("|").split("|"))
        if any(fnmatch(name, pattern) for pattern in re.findall(r"`([\w*]+)`", entries)):
            given = {
                key: tuple(map(float, numbers.split(",")))
                for key, numbers in re.findall(r"--(mean|std) ([\d.,]+)", options)
            }
            return Import(architecture.strip("`"), **given)
    raise AssertionError(f"{name} has no row")


def drawn(build):
    """Return an entry's network with statistics that are not those of a fresh one."""
    torch.manual_seed(0)
    module = build()
    for key, buffer in module.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_(std=0.1)
        elif key.endswith("running_var"):
            buffer.uniform_(0.8, 1.2)
    return module.eval()


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES)
@torch.no_grad()
def test_outputs_are_those_of_robustbench(entry, tmp_path):
    data, _, name = entry.partition("-")
    theirs, wanted = drawn(ENTRIES[entry]), documented(name)
    weights = theirs.state_dict()
    if wanted.mean is not None:  # their published files do not hold what their classes have
        del weights["mu"], weights["sigma"]
    torch.save({"last": weights, "best": {}} if "Kireev" in name else weights, tmp_path / "theirs.pt")
    ours = import_model([tmp_path / "theirs.pt"], wanted)
    images = torch.rand(2, 3, 32, 32)
    found, expected = ours(images), theirs(images)
    found = found.exp() if "Deck" in name else found
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.std()))
    assert len(ours.classes) == {"cifar10": 10, "cifar100": 100}[data]
    (tmp_path / "theirs.pt").unlink()

"""The table in docs/networks.md against the networks themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from winninghand.networks import NETWORKS, count_macs, count_parameters, network

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"
ROWS = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_a_row_says_what_the_network_is(row):
    name, settings, parameters, macs = (cell.strip().strip("`") for cell in row[:4])
    with torch.device("meta"):
        module = network(name)
        total = sum(count_macs(module, (32, 32)).values())
    assert settings == ", ".join(f"{key} = {value}" for key, value in module.architecture.settings.items())
    assert parameters == f"{count_parameters(module):,}"
    assert macs == f"{total / 1e6:,.1f} M"


def test_every_network_has_its_row():
    assert [row[0].strip(" `") for row in ROWS] == list(NETWORKS)

"""Cards whose checksums are right and whose headers lie: refused in one line, at once."""

import pytest
import torch

import winninghand as wh
from winninghand.cards.container import read_streams, write_streams

FORGERIES = [
    {"architecture": {"width": 2}},
    {"architecture": {"name": []}},
    {"architecture": {"name": "resnet18", "width": 2**31}},
    {"architecture": {"name": "resnet18", "width": 2**62}},
    {"architecture": {"name": "resnet18", "width": 10**30}},
    {"architecture": {"name": "resnet18", "self": 1}},
    {"architecture": {"name": "conv2", "input_size": 10**12}},
    {"architecture": {"name": "wideresnet", "depth": 6 * 10**7 + 4}},
    {"std": [0, 0, 0]},
    {"mean": ["nan", 0, 0]},
    {"input_size": [0, 16]},
]


@pytest.mark.parametrize("forgery", FORGERIES, ids=str)
def test_a_lying_header_is_refused(tmp_path, forgery):
    torch.manual_seed(0)
    module = wh.network("conv2", width=1, classes=2, input_size=16)
    wh.Card.from_module(module, ["a", "b"], (16, 16)).save(tmp_path / "honest.card")
    header, streams = read_streams(tmp_path / "honest.card")
    header["card"] |= forgery
    write_streams(tmp_path / "forged.card", header, streams)
    with pytest.raises(wh.InputError, match=r"forged\.card") as error:
        wh.load(tmp_path / "forged.card")
    assert "\n" not in str(error.value)

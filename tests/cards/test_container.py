"""Card files through `wh.load`: what is in them, and what is refused with right checksums too."""

from __future__ import annotations

import json
import random
import struct
import zlib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import winninghand as wh
from winninghand.base.errors import InputError
from winninghand.cards.container import read_streams, write_streams


class EveryEncoding(nn.Module):
    """One tensor for each way to write a tensor: floats, binary, levels and raw."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(16, 3, 3, 3, generator=generator)
        weight *= torch.rand(weight.shape, generator=generator) < 0.1
        self.floats, self.binary, self.levels = nn.Conv2d(3, 16, 3), nn.Linear(16, 16), nn.Linear(16, 2)
        self.register_buffer("count", torch.tensor(12))
        levels = torch.randint(-7, 8, (2, 16), generator=generator).float()
        with torch.no_grad():
            self.floats.weight.copy_(weight)
            self.binary.weight.copy_(torch.randn(16, 16, generator=generator).sign() * 0.05)
            self.levels.weight.copy_(levels * 0.3)

    def forward(self, images):
        return self.levels(self.binary(self.floats(images).mean(dim=(2, 3))))


SCALES = {"levels.weight": torch.full((2,), 0.3)}


def write_some(path: Path, classes=("cat", "dog")) -> wh.Card:
    card = wh.Card.from_module(EveryEncoding(), classes, (8, 8))
    card = wh.Card(card.network, card.metadata, None, SCALES)
    card.save(path)
    return card


def load(path: Path) -> wh.Card:
    return wh.load(path, network=EveryEncoding())


def assert_same(loaded: wh.Card, card: wh.Card) -> None:
    assert loaded.metadata == card.metadata
    assert all(torch.equal(tensor, card.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_every_encoding_comes_back_and_bytes_are_the_same_every_time(tmp_path):
    card = write_some(tmp_path / "a.card")
    write_some(tmp_path / "b.card")
    assert_same(load(tmp_path / "a.card"), card)
    assert torch.equal(load(tmp_path / "a.card").scales["levels.weight"], SCALES["levels.weight"])
    assert (tmp_path / "a.card").read_bytes() == (tmp_path / "b.card").read_bytes()
    index = json.loads(zlib.decompress(read_streams(tmp_path / "a.card")[1]["index"].numpy().tobytes()))
    assert {name.split(".")[1]: kind for name, _, _, kind in index if "bias" not in name} == {
        "floats": "floats",
        "binary": "binary",
        "levels": "levels",
        "count": "raw",
    }


def test_safetensors_tools_open_it(tmp_path):
    write_some(tmp_path / "a.card")
    with safe_open(tmp_path / "a.card", framework="pt") as file:
        assert set(file.keys()) == {"index", "coded", "raw"}
        metadata = json.loads(file.metadata()["winninghand"])
    assert metadata["schema"] == 1
    assert metadata["header"]["card"]["classes"] == ["cat", "dog"]


def test_a_newer_schema_says_so(tmp_path):
    path = tmp_path / "a.card"
    write_some(path)
    path.write_bytes(path.read_bytes().replace(b'\\"schema\\":1', b'\\"schema\\":2'))
    with pytest.raises(InputError, match=r"newer winninghand; upgrade"):
        load(path)


def test_a_card_with_blocks_has_a_schema_of_its_own(tmp_path):
    """Version 0.1 refuses its number with one line, and not as a damaged file."""
    card = write_some(tmp_path / "a.card")
    with torch.no_grad():
        card.network.binary.weight[3:, :8] = 0
    card.save(tmp_path / "a.card")
    assert_same(load(tmp_path / "a.card"), card)
    with safe_open(tmp_path / "a.card", framework="pt") as file:
        assert json.loads(file.metadata()["winninghand"])["schema"] == 3
    wh.Deck([card, card], "average").save(tmp_path / "a.deck")
    assert_same(wh.load(tmp_path / "a.deck", network=EveryEncoding()).cards[1], card)


def test_what_is_no_card_is_refused(tmp_path):
    save_file({"weight": torch.ones(3)}, tmp_path / "plain.safetensors")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("hello, this is no card at all")
    for name in ("plain.safetensors", "empty", "text", "absent", "."):
        with pytest.raises(InputError, match="cannot load"):
            load(tmp_path / name)


@pytest.mark.parametrize(
    "rows",
    [
        [["a", "float32", [1 << 30], "floats"]],
        [["a", "float32", [1 << 20, 1 << 20], "binary"]],
        [["a", "float32", [1 << 22], "raw"]],
        [["a", "float32", [4], "raw"], ["a", "float32", [4], "raw"]],
        [["a", "float32", [-4], "raw"]],
        [["a", "float32", [4.0], "raw"]],
        [["a", "float32", [0] + [(1 << 31) - 1] * 9, "raw"]],
        [["a", "float31", [4], "raw"]],
        [["a", "int64", [4], "floats"]],
        [["a", "float32", [], "levels"]],
        [["a", "float16", [4], "levels"]],
        [["a", "float32", [4], "pickle"]],
        [["a", "float32", [4]]],
        {"a": 1},
        [],
    ],
)
def test_an_index_that_says_what_cannot_be_is_refused(tmp_path, rows):
    """Checksums are right here, as a stranger would make them."""
    path = tmp_path / "a.card"
    write_some(path)
    header, streams = read_streams(path)
    packed = zlib.compress(json.dumps(rows).encode())
    write_streams(path, header, streams | {"index": torch.frombuffer(bytearray(packed), dtype=torch.uint8)})
    with pytest.raises(InputError, match=r"cannot load .*(index|limit|stream|scale)"):
        load(path)


def test_a_header_from_another_card_is_refused(tmp_path):
    path = tmp_path / "a.card"
    write_some(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    _, other = read_streams(path)
    write_streams(path, {"kind": "card"}, other | {"raw": other["raw"].flip(0)})
    save_file(read_streams(path)[1], tmp_path / "spliced.card", metadata)
    with pytest.raises(InputError, match="checksum"):
        load(tmp_path / "spliced.card")
    metadata = json.loads(metadata["winninghand"])
    for changed in (
        {**metadata, "header": {"kind": "deck"}},
        {**metadata, "more": 1},
        {**metadata, "header": float("nan")},
    ):
        save_file(other, path, {"winninghand": json.dumps(changed)})
        with pytest.raises(InputError, match="header is damaged"):
            load(path)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_scale_that_is_no_positive_number_is_refused(tmp_path, scale):
    path = tmp_path / "a.card"
    write_some(path)
    header, streams = read_streams(path)
    raw = streams["raw"].numpy().tobytes()
    assert raw.count(struct.pack("<ff", 0.3, 0.3)) == 1
    forged = bytearray(raw.replace(struct.pack("<ff", 0.3, 0.3), struct.pack("<ff", 0.3, scale)))
    write_streams(path, header, streams | {"raw": torch.frombuffer(forged, dtype=torch.uint8)})
    with pytest.raises(InputError, match="scale"):
        load(path)


@pytest.mark.parametrize("name", ["coded", "raw", "index"])
def test_streams_that_are_cut_or_longer_are_refused_in_spite_of_right_checksums(tmp_path, name):
    path = tmp_path / "a.card"
    write_some(path)
    header, streams = read_streams(path)
    for changed in (streams[name][:-4], torch.cat([streams[name], torch.ones(8, dtype=torch.uint8)])):
        write_streams(path, header, {**streams, name: changed.clone()})
        with pytest.raises(InputError, match=r"cannot load .*(index|stream)"):
            load(path)


def test_forged_streams_never_crash_the_reader(tmp_path):
    """A stranger can make checksums right; what he then declares must still be refused or load."""
    path = tmp_path / "a.card"
    write_some(path)
    header, streams = read_streams(path)
    rows = json.loads(zlib.decompress(streams["index"].numpy().tobytes()))
    chance = random.Random(1)
    refused = 0
    for _ in range(300):
        changed = [
            [name, chance.choice(["float16", "float32", "int64", "bool", dtype]), shape, kind]
            for name, dtype, shape, kind in rows
        ]
        chance.choice(changed)[3] = chance.choice(
            ["raw", "floats", "binary", "levels", "block4-floats", "block4-levels"]
        )
        index = zlib.compress(json.dumps(changed).encode())
        coded = bytearray(streams["coded"].numpy().tobytes())
        coded[chance.randrange(len(coded))] ^= 1 << chance.randrange(8)
        forged = {
            "index": torch.frombuffer(bytearray(index), dtype=torch.uint8),
            "coded": torch.frombuffer(coded, dtype=torch.uint8),
            "raw": streams["raw"],
        }
        write_streams(path, header, forged)
        try:
            load(path)
        except InputError:
            refused += 1
    assert refused > 290

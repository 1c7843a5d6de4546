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

from winninghand.base.errors import InputError
from winninghand.cards.container import read_container, read_streams, write_container, write_streams

HEADER = {"name": "a card", "classes": ["cat", "dog"], "mean": [0.1, 0.2, 0.3]}


def some_tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 8, 3, 3, generator=generator)
    weight *= torch.rand(weight.shape, generator=generator) < 0.1
    levels = torch.randint(-7, 8, (10, 16), generator=generator).float()
    return {
        "conv.weight": weight + 0.0,
        "binary.weight": weight.sign() * 0.05,
        "linear.weight": levels * torch.full((10, 1), 0.3),
        "linear.bias": torch.randn(10, generator=generator),
        "count": torch.tensor(12),
    }


def write_some(path: Path) -> None:
    scales = {"linear.weight": torch.full((10,), 0.3)}
    write_container(path, HEADER, some_tensors(), ["conv.weight", "binary.weight", "linear.weight"], scales)


def test_header_and_tensors_come_back_and_bytes_are_the_same_every_time(tmp_path):
    write_some(tmp_path / "a.card")
    write_some(tmp_path / "b.card")
    container = read_container(tmp_path / "a.card")
    assert container.header == HEADER
    assert all(torch.equal(container.tensors[name], tensor) for name, tensor in some_tensors().items())
    assert torch.equal(container.scales["linear.weight"], torch.full((10,), 0.3))
    assert (tmp_path / "a.card").read_bytes() == (tmp_path / "b.card").read_bytes()


def test_safetensors_tools_open_it(tmp_path):
    write_some(tmp_path / "a.card")
    with safe_open(tmp_path / "a.card", framework="pt") as file:
        assert set(file.keys()) == {"index", "coded", "raw"}
        assert json.loads(file.metadata()["winninghand"])["header"] == HEADER


def test_the_size_report_accounts_for_every_byte(tmp_path):
    path = tmp_path / "a.card"
    report = write_container(path, HEADER, some_tensors(), ["conv.weight"])
    streams = read_streams(path)[1]
    assert report.bytes == path.stat().st_size
    assert report.payload_bytes == streams["coded"].numel() + streams["raw"].numel()
    assert report.ratio == report.payload_bytes / report.entropy_bound_bytes


def test_a_newer_schema_says_so(tmp_path):
    path = tmp_path / "a.card"
    write_some(path)
    path.write_bytes(path.read_bytes().replace(b'\\"schema\\":1', b'\\"schema\\":2'))
    with pytest.raises(InputError, match=r"newer winninghand; upgrade"):
        read_container(path)


def test_what_is_no_card_is_refused(tmp_path):
    save_file({"weight": torch.ones(3)}, tmp_path / "plain.safetensors")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("hello, this is no card at all")
    for name in ("plain.safetensors", "empty", "text", "absent", "."):
        with pytest.raises(InputError, match="cannot load"):
            read_container(tmp_path / name)


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
    write_container(path, HEADER, {"a": torch.tensor([1.0, 2.0, -3.0, 4.0])}, ["a"])
    header, streams = read_streams(path)
    packed = zlib.compress(json.dumps(rows).encode())
    streams["index"] = torch.frombuffer(bytearray(packed), dtype=torch.uint8)
    write_streams(path, header, streams)
    with pytest.raises(InputError, match="cannot load"):
        read_container(path)


def test_a_header_from_another_card_is_refused(tmp_path):
    path = tmp_path / "a.card"
    write_container(path, {"name": "one"}, {"a": torch.ones(3)}, ["a"])
    one = read_streams(path)[1]
    write_container(path, {"name": "two"}, {"a": torch.zeros(3)}, ["a"])
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(one, tmp_path / "spliced.card", metadata)
    with pytest.raises(InputError, match="checksum"):
        read_container(tmp_path / "spliced.card")
    metadata = json.loads(metadata["winninghand"])
    for changed in (
        {**metadata, "header": {"name": "three"}},
        {**metadata, "more": 1},
        {**metadata, "header": float("nan")},
    ):
        save_file(one, path, {"winninghand": json.dumps(changed)})
        with pytest.raises(InputError, match="header is damaged"):
            read_container(path)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_scale_that_is_no_positive_number_is_refused(tmp_path, scale):
    path = tmp_path / "a.card"
    write_container(path, {}, {"a": torch.tensor([[3.0]])}, ["a"], {"a": torch.tensor([1.0])})
    header, streams = read_streams(path)
    streams["raw"] = torch.frombuffer(bytearray(struct.pack("<f", scale)), dtype=torch.uint8)
    write_streams(path, header, streams)
    with pytest.raises(InputError, match="scale"):
        read_container(path)


@pytest.mark.parametrize("name", ["coded", "raw", "index"])
def test_streams_that_are_cut_or_longer_are_refused_in_spite_of_right_checksums(tmp_path, name):
    path = tmp_path / "a.card"
    write_some(path)
    header, streams = read_streams(path)
    for changed in (streams[name][:-4], torch.cat([streams[name], torch.ones(8, dtype=torch.uint8)])):
        write_streams(path, header, {**streams, name: changed.clone()})
        with pytest.raises(InputError, match="cannot load"):
            read_container(path)


def test_every_cut_and_hundreds_of_flipped_bits_are_refused_or_harmless(tmp_path):
    path = tmp_path / "a.card"
    write_some(path)
    whole = path.read_bytes()
    tensors = some_tensors()
    chance = random.Random(0)
    damaged = [whole[:length] for length in range(0, len(whole), 17)]
    for _ in range(400):
        content = bytearray(whole)
        content[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(content))
    for content in damaged:
        path.write_bytes(content)
        try:
            container = read_container(path)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert container.header == HEADER
            assert all(torch.equal(container.tensors[name], tensor) for name, tensor in tensors.items())


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
        chance.choice(changed)[3] = chance.choice(["raw", "floats", "binary", "levels"])
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
            read_container(path)
        except InputError:
            refused += 1
    assert refused > 290

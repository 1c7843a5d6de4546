"""The campaign of faults in short: `python -m benchmarks.faults` is the whole of it."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import winninghand as wh
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.mutate import FAULTS, Subject
from winninghand.base.toml import read_toml
from winninghand.cards.importing.checkpoint import read_checkpoint
from winninghand.cli.deck import parse_bytes
from winninghand.cli.options import parse_setting, parse_severities
from winninghand.images.pictures import Picture, decoded
from winninghand.images.plain_pickle import read_plain_pickle

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured as on Linux"
)


@pytest.mark.parametrize("name", KINDS)
def test_damaged_and_crafted_files_are_read_or_refused(name, tmp_path, monkeypatch):
    if name in ("parquet", "results", "cells"):
        pytest.importorskip("pyarrow")
    (tmp_path / "none").touch()
    monkeypatch.setenv("WINNINGHAND_CACHE", str(tmp_path / "none/of/it"))
    subject = Subject(KINDS[name], tmp_path)
    found = [subject.case(0, number) for number in range(32)]
    assert [case for case in found if case.outcome in FAULTS] == []
    assert sum(case.outcome == "refused" for case in found) >= 4


LOADERS = {
    "model": wh.load,
    "checkpoint": read_checkpoint,
    "pickle": read_plain_pickle,
    "recipe": lambda path: read_toml(path, "the recipe"),
    "picture": lambda path: decoded([Picture("p", path)], (4, 4)),
    "images": wh.load_images,
}
BEGINNINGS = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"\x80\x02}q\x00",
    b"PK\x03\x04",
    b"\x93NUMPY\x01\0",
]


@pytest.mark.parametrize("name", LOADERS)
def test_any_bytes_are_read_or_refused_in_one_line(name, tmp_path):
    path = tmp_path / "a.npz"

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(beginning=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=300))
    def check(beginning, rest):
        path.write_bytes(beginning + rest)
        try:
            LOADERS[name](path)
        except wh.InputError as error:
            assert "\n" not in str(error)

    check()


@pytest.mark.parametrize("parse", [parse_severities, parse_setting, parse_bytes])
@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(text=st.text(max_size=40) | st.from_regex(r"[0-9a-z=.,\-\[\]]{0,30}", fullmatch=True))
def test_any_option_is_understood_or_refused_in_one_line(parse, text):
    try:
        parse(text)
    except wh.InputError as error:
        assert "\n" not in str(error)


WATCHED = """
import os, sys, time
from benchmarks.faults import mutate
from benchmarks.faults.kinds import Kind

mutate.SECONDS, mutate.IDLE, mutate.MEBIBYTES = 0.5, 1.5, 64

def read(path):
    match path.read_bytes()[:1]:
        case b"h": time.sleep(60)
        case b"w":
            while True: pass
        case b"k": os.kill(os.getpid(), 11)
        case b"m": return str(len(bytearray(100 << 20)))
        case b"e": raise ValueError("two\\nlines")
        case b"c": return "another"
    return "as it is"

mutate.KINDS["bad"] = Kind("a", lambda path, seed: path.write_bytes(b"as it is"), read, sealed=True)
mutate.Subject.content = lambda self, seed, number: b"ahwkmec"[number:number + 1]
for case in mutate.cases("bad", 0, range(7)):
    print(case.outcome)
"""


def started(*words):
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


def test_the_watchdog_tells_every_kind_of_fault():
    code, out, err = started("-c", WATCHED)
    assert code == 0, err
    assert out.split() == ["equal", "hung", "hung", "crashed", "over", "memory", "crashed", "changed"]


@pytest.mark.slow
def test_killed_and_racing_commands_end_as_undisturbed_ones():
    words = ("-m", "benchmarks.faults", "kill", "fill", "race", "--kinds", "corrupt", "--cases", "2")
    code, out, err = started(*words)
    assert code == 0, out + err

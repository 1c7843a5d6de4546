"""Where a command writes is checked before it works; nothing that is there is lost."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import winninghand as wh
from winninghand.base.files import atomic_write, checked_output

DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    wh.Card.from_module(wh.network("conv2", width=2), DIGITS, (32, 32)).save("a.card")
    Path("recipe.toml").write_text('network = {name = "conv2", width = 2}\n[training]\nepochs = 1\n')
    Path("study.toml").write_text('title = "t"\n[recipe]\nnetwork = {name = "conv2", width = 2}\n')
    Path("file").write_text("")
    Path("loop").symlink_to("loop")
    Path("picture.png").touch()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("picture.png")
    Path("pictures/deep").mkdir(parents=True)
    for name in ("0.png", "a.parquet", "samples.png"):
        Path("pictures/deep", name).write_text("what is read")
    Path("linked").symlink_to("pictures")
    return tmp_path


OUTPUTS = [
    ("evaluate", "a.card", "--json"),
    ("evaluate", "a.card", "--cells"),
    ("evaluate", "a.card", "--html"),
    ("heatmap", "a.card", "--out"),
    ("heatmap", "a.card", "--out", "a.svg", "--json"),
    ("inspect", "a.card", "--json"),
    ("predict", "a.card", "picture.png", "--json"),
    ("predict", "a.card", "picture.png", "--csv"),
    ("export", "a.card"),
    ("import", "c.pt", "--architecture", "conv2"),
    ("show-augmentation", "recipe.toml", "--out"),
    ("train", "recipe.toml", "--out"),
    ("study", "study.toml", "--out"),
    ("study", "study.toml", "--out", "s", "--zoo"),
    ("corrupt", "--out"),
    ("demo", "--out"),
]
SUFFIXES = {
    "--cells": ".csv",
    "--html": ".html",
    "heatmap": ".svg",
    "export": ".onnx",
    "import": ".card",
    "--out": ".png",
}


@pytest.mark.parametrize("words", OUTPUTS, ids=" ".join)
@pytest.mark.parametrize("target", ["file/x", "loop", "/proc/x", "n" * 300])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    check_refusal, place, monkeypatch, words, target
):
    def worked(*_):
        raise AssertionError("it began to work")

    monkeypatch.setattr("winninghand.images.load_images", worked)
    suffix = SUFFIXES.get(words[-1]) or SUFFIXES.get(words[0], "")
    if target != "loop":
        target += suffix
    elif words[0] in ("export", "import"):
        Path(f"loop{suffix}").symlink_to(f"loop{suffix}")
        target += suffix
    check_refusal(place, (*words, target), "cannot write")


@pytest.mark.parametrize("words", [("deck", "file/x.deck", "a.card"), ("deck", "loop", "a.card")])
def test_a_deck_too(check_refusal, place, words):
    check_refusal(place, words, "cannot write")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("evaluate", "a.card", "--json", "a.card"), "would be replaced"),
        (("evaluate", "a.card", "--json", "x.csv", "--cells", "./x.csv"), "written twice"),
        (("evaluate", "a.card", "--json", "x.html", "--html", "./x.html"), "written twice"),
        (("inspect", "a.card", "--json", "a.card"), "would be replaced"),
        (("predict", "a.card", "picture.png", "--json", "picture.png"), "would be replaced"),
        (("deck", "a.card", "a.card", "--gate", "average"), "named as a card"),
        (("deck", "zoo:cifar10-lrr95-clean", "a.card"), "is a model, and no file to write"),
        (("heatmap", "a.card", "--out", "x.svg", "--json", "x.svg"), "written twice"),
        (("predict", "a.card", "pictures", "--json", "pictures/deep/0.png"), "would be replaced"),
        (("predict", "a.card", "pictures", "--json", "linked/deep/0.png"), "would be replaced"),
        (("evaluate", "a.card", "--data", "linked", "--cells", "pictures/deep/a.parquet"), "be replaced"),
        (("evaluate", "a.card", "--data", "cifar10", "--root", ".", "--json", "file"), "would be replaced"),
        (("heatmap", "a.card", "--data", "pictures", "--out", "pictures/deep/0.png"), "would be replaced"),
        (("show-augmentation", "recipe.toml", "--data", "linked", "--out", "linked/deep/0.png"), "replaced"),
        (("corrupt", "--data", "pictures", "--out", "pictures/deep"), "would be replaced"),
        (("predict", "a.card", "picture.png", "--json", "new/"), "name of a folder"),
    ],
)
def test_no_input_is_replaced_and_no_output_written_twice(check_refusal, place, words, named):
    check_refusal(place, words, named)


def test_json_goes_through_links_devices_pipes_and_keeps_rights(run, place):
    Path("real").mkdir()
    Path("link.json").symlink_to("real/a.json")
    assert run("inspect", "a.card", "--json", "link.json")[0] == 0
    assert Path("link.json").is_symlink()
    Path("real/a.json").chmod(0o600)
    assert run("inspect", "a.card", "--json", "link.json")[0] == 0
    assert stat.S_IMODE(Path("real/a.json").stat().st_mode) == 0o600
    assert run("inspect", "a.card", "--json", "/dev/null")[0] == 0
    assert Path("/dev/null").is_char_device()
    code, _, err = run("inspect", "a.card", "--json", "/dev/full")
    assert (code, "No space" in err) == (2, True)
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run("inspect", "a.card", "--json", "pipe")[0] == 0
    assert os.read(reader, 1) == b"{"
    os.close(reader)


@pytest.mark.parametrize("redirected", [True, False])
def test_what_is_written_to_the_own_output_follows_what_is_printed(place, redirected):
    program = (
        "import sys; from pathlib import Path; from winninghand.base.files import write_text\n"
        "print('first', flush=True); write_text('second\\n', '/dev/stdout'); print('third')"
    )
    with Path("out").open("w+") as file:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=file if redirected else subprocess.PIPE, check=True
        )
        printed = Path("out").read_bytes() if redirected else done.stdout
    assert printed == b"first\nsecond\nthird\n"


def test_a_disk_that_fills_leaves_the_old_file_and_one_line(tmp_path):
    """A limit on the size of files stands for the disk: it gives the same kind of error."""
    (tmp_path / "a").write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(wh.InputError, match="cannot write"), atomic_write(tmp_path / "a") as tmp:
            tmp.write_bytes(bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux only")
def test_a_place_that_is_on_no_disk_is_told_as_such(run):
    code, out, err = run("demo", "--out", "/proc/x")
    assert (code, out) == (2, "")
    assert err == "winninghand: cannot write /proc/x (no folder can be made in /proc); give another path\n"


def test_a_full_disk_and_missing_rights_are_known_beforehand(tmp_path, monkeypatch):
    assert checked_output(tmp_path / "new/deep/a.json") == tmp_path / "new/deep/a.json"
    assert not (tmp_path / "new").exists()
    full = type("Usage", (), {"free": 0, "total": 1})
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: full)
        with pytest.raises(wh.InputError, match="No space left"):
            checked_output(tmp_path / "new/a.json")
    monkeypatch.setattr("os.access", lambda place, _: Path(place) != tmp_path)
    with pytest.raises(wh.InputError, match="may not be written"):
        checked_output(tmp_path / "runs/a", folder=True)


@pytest.mark.parametrize("words", [("names",), ("--help",), ("inspect", "a.card", "--json", "-")])
def test_a_standard_output_that_takes_nothing(place, words):
    program = "from winninghand.cli import main; main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, *words], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == b"winninghand: cannot write the output: No space left on device"
    assert b"Traceback" not in done.stderr


def test_a_new_file_beside_what_is_read_is_no_loss(run, place):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("pictures/deep/0.png")
    words = ("predict", "a.card", "pictures/deep/0.png", "pictures", "--json", "pictures/answers.json")
    assert run(*words)[0] == 0
    assert Path("pictures/answers.json").is_file()
    Path("pictures/deep/samples.png").unlink()
    assert run(*words)[0] == 0  # a command may be run again


@pytest.mark.parametrize(
    ("words", "closed", "said"),
    [
        ("names", ">&-", "standard output is closed"),
        ("inspect a.card --json -", ">&-", "standard output is closed"),
        ("nonsense", "2>&-", ""),
        ("nonsense", "2>/dev/full", ""),
        ("names", ">&- 2>&- <&-", ""),
    ],
)
def test_streams_that_are_closed_or_full_change_no_exit_code(place, words, closed, said):
    program = f"'{sys.executable}' -c 'from winninghand.cli import main; main()' {words} {closed}"
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == bool(said)
    assert said in done.stderr


def test_a_folder_that_is_gone_is_told_in_one_line(run, place, monkeypatch):
    Path("gone").mkdir()
    monkeypatch.chdir("gone")
    Path.cwd().rmdir()
    code, out, err = run("names")
    monkeypatch.chdir(place)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "current folder" in err


@pytest.mark.parametrize(
    "words", [("predict", "a.card", ""), ("deck", "x.deck", ""), ("evaluate", "a.card", "--root=")]
)
def test_an_empty_path_is_not_the_current_folder(check_refusal, place, words):
    check_refusal(place, words, "is empty")


def test_a_reader_that_leaves_ends_the_program_without_a_word(place):
    program = "from winninghand.cli import main; main()"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", program, "names"], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")

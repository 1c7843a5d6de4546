"""One process at a time works in a folder, and whoever does sweeps what killed ones left."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write
from winninghand.base.locks import check_held, folder_lock

HOLD = """
import sys, time
from pathlib import Path
from winninghand.base.files import atomic_write
from winninghand.base.locks import folder_lock
folder = Path(sys.argv[1])
with folder_lock(folder), atomic_write(folder / "cells.parquet"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_is_told_who_works_there(tmp_path, holder):
    with (
        pytest.raises(InputError, match=f"process {holder.pid} on .* works in .* since"),
        folder_lock(tmp_path, wait=False),
    ):
        pass


def test_a_kill_ends_the_lock_and_what_it_left_is_swept(tmp_path, holder, caplog):
    threading.Timer(1.3, holder.send_signal, [signal.SIGKILL]).start()
    assert len(list(tmp_path.iterdir())) == 2
    with folder_lock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        assert str(os.getpid()) in (tmp_path / ".lock").read_text()
    assert list(tmp_path.iterdir()) == []
    assert caplog.records[0].getMessage().startswith(f"waiting: process {holder.pid}")


def test_only_what_no_one_writes_is_swept(tmp_path):
    left = [
        ".card.json.abcd1234.json",
        ".checkpoint.pt.a_b_c_d_.pt",
        ".a.npy.abcd1234.tmp.npy",
        ".x.abcd1234.tmp",
    ]
    kept = [".hidden", ".card.json", ".a.b.json", "a.abcd1234.tmp", ".config.abcd1234.json"]
    for name in (*left, *kept):
        (tmp_path / name).write_text("")
    with atomic_write(tmp_path / "table.csv") as tmp, folder_lock(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {*kept, tmp.name, ".lock"}


def test_a_thread_may_lock_again_and_another_thread_waits(tmp_path):
    order = []

    def other():
        with folder_lock(tmp_path):
            order.append("other")

    with folder_lock(tmp_path):
        with folder_lock(tmp_path / "../" / tmp_path.name, wait=False):
            thread = threading.Thread(target=other)
            thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


def test_many_take_turns(tmp_path):
    """Holders delete the lock file when they leave, which must let no two in at once."""
    inside, worst = [], []

    def work():
        for _ in range(20):
            with folder_lock(tmp_path):
                inside.append(1)
                worst.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(worst) == 1 and len(worst) == 80


def test_folders_that_were_made_for_nothing_go_again(tmp_path):
    with pytest.raises(KeyError), folder_lock(tmp_path / "study/run"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    for _ in range(2):
        with folder_lock(tmp_path / "mine/run") as _, folder_lock(tmp_path / "mine"):
            pass
    assert list((tmp_path / "mine").iterdir()) == []
    with folder_lock(tmp_path / "study/run"):
        (tmp_path / "study/log").touch()
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["log"]


def test_a_folder_that_cannot_be_had_is_told_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file/run"):
        with pytest.raises(InputError, match="a file"), folder_lock(path):
            pass

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(InputError, match="Permission denied"), folder_lock(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_what_a_holder_forks_does_not_hold_the_folder(tmp_path):
    folder = tmp_path / "run"
    reading, writing = os.pipe()
    holder = os.fork()
    if not holder:
        with folder_lock(folder), folder_lock(folder):
            forked = os.fork()
            if forked:
                os.write(writing, f"{forked}\n".encode())
            time.sleep(30)  # the forked one lives on
        os._exit(0)
    forked = int(os.read(reading, 20))
    try:
        with pytest.raises(InputError, match="works in"), folder_lock(folder, wait=False):
            pass
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        with folder_lock(folder, wait=False):
            pass
    finally:
        os.kill(forked, signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_what_a_holder_forks_leaves_the_lock_alone_when_it_ends_well(tmp_path):
    parent = os.getpid()
    try:
        with folder_lock(tmp_path):
            forked = os.fork()
            if forked:
                assert os.waitpid(forked, 0)[1] == 0
                check_held(tmp_path)
            else:
                with pytest.raises(InputError, match="works in"), folder_lock(tmp_path, wait=False):
                    pass
    except BaseException:
        if os.getpid() != parent:
            os._exit(1)
        raise
    if not forked:
        os._exit(0)


def test_a_folder_that_is_taken_away_is_missed(tmp_path):
    check_held(tmp_path)  # nobody holds it
    with folder_lock(tmp_path / "run"):
        check_held(tmp_path / "run")
        shutil.rmtree(tmp_path / "run")
        for _ in range(2):
            with pytest.raises(InputError, match="was taken away"):
                check_held(tmp_path / "run")
            (tmp_path / "run").mkdir(exist_ok=True)
            (tmp_path / "run/.lock").touch()  # another's

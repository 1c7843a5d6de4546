import errno
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write, check_apart, sweep, write_text


def test_a_file_appears_whole(tmp_path):
    with atomic_write(tmp_path / "deep/a.txt") as tmp:
        tmp.write_text("whole")
        assert not (tmp_path / "deep/a.txt").exists()
    assert [path.read_text() for path in (tmp_path / "deep").iterdir()] == ["whole"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "a.txt") as tmp:
        tmp.write_text("half")
        raise RuntimeError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "old"}


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "real/a.txt")
    with atomic_write(tmp_path / "link.txt") as tmp:
        tmp.write_text("whole")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real/a.txt").read_text() == "whole"
    with atomic_write("/dev/null") as tmp:
        tmp.write_text("gone")
    assert Path("/dev/null").is_char_device()


def test_what_the_disk_refuses_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"), atomic_write(tmp_path / "file/a.txt"):
        pass
    with pytest.raises(InputError, match="is a folder"), atomic_write(tmp_path):
        pass
    with pytest.raises(InputError, match="cannot be a path"), atomic_write(f"{tmp_path}/a\0b"):
        pass
    with pytest.raises(InputError, match="cannot be a path"):
        check_apart([f"{tmp_path}/a\0b"])
    with pytest.raises(InputError, match="No space"), atomic_write(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt"):
        (tmp_path / "other").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_writer_left_goes_with_the_next_write_and_what_is_being_written_stays(tmp_path):
    left, held = tmp_path / ".a.txt.abcdefgh.tmp.txt", tmp_path / ".a.txt.ijklmnop.tmp.txt"
    others = tmp_path / ".b.txt.abcdefgh.tmp.txt"
    for path in (left, held, others):
        path.write_text("half")
    handle = os.open(held, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    write_text("whole", tmp_path / "a.txt")
    os.close(handle)
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", held.name, others.name}
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_two_writers_of_one_file_do_not_delete_each_other_s(tmp_path):
    def write(number):
        for _ in range(50):
            write_text(str(number), tmp_path / "a.txt")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() in "0123"

import errno
from pathlib import Path

import pytest

from winninghand.base.errors import InputError
from winninghand.base.files import atomic_write


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
    with pytest.raises(InputError, match="No space"), atomic_write(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt"):
        (tmp_path / "other").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

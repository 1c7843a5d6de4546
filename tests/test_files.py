import pytest

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

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from winninghand.base import compiled as compiled_file
from winninghand.base.compiled import compiled


@compiled
def total(values: np.ndarray) -> float:
    """Return the sum of the squares."""
    result = 0.0
    for value in values:
        result += square(value)
    return result


@compiled
def square(value: float) -> float:
    return value * value


def test_compiled_functions_call_each_other_and_keep_their_names():
    assert total(np.arange(4.0)) == 14.0
    assert total(np.arange(4)) == 14.0
    assert (total.__name__, total.__doc__) == ("total", "Return the sum of the squares.")


def test_numba_is_imported_at_the_first_call_only():
    program = (
        "import sys, winninghand.augmentation.kernels, winninghand.compression.kernels; "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


SOURCE = """
from winninghand.base.compiled import compiled

@compiled
def double(value):
    return 2 * value

@compiled
def double_and_one(value):
    return double(value) + 1
"""


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Import a file with compiled functions anew, as another process would."""
    monkeypatch.setattr(compiled_file, "_told", [])
    for variable in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))

    def load():
        path = tmp_path / "package" / "some_kernels.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(SOURCE)
        spec = importlib.util.spec_from_file_location("some_kernels", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_without_a_folder_to_keep_it_in_code_is_compiled_and_said_so_once(imported, tmp_path, caplog):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__pycache__").write_text("a file where the folder should be")
    (tmp_path / "home").write_text("and here")
    module = imported()
    assert (module.double(2), module.double_and_one(2.0)) == (4, 5.0)
    (line,) = caplog.messages
    assert line.startswith("compiled code is not kept, and made anew by each process, unless NUMBA_CACHE_DIR")
    assert "that can be written: cannot cache function" in line


def test_a_full_disk_ends_nothing(imported, caplog, monkeypatch):
    from numba.core.caching import IndexDataCacheFile

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "save", full)
    assert imported().double_and_one(2) == 5
    assert [line.partition(": ")[2] for line in caplog.messages] == ["[Errno 28] No space left on device"]


def test_damaged_code_is_compiled_again_and_replaced(imported, tmp_path, caplog):
    assert imported().double(2) == 4
    for pattern in ("*.nbi", "*.nbc"):
        (path,) = (tmp_path / "package" / "__pycache__").glob(pattern)
        whole = path.read_bytes()
        path.write_bytes(whole[:20])
        assert imported().double(2) == 4
        assert len(path.read_bytes()) == len(whole)
    assert not caplog.messages


def test_code_is_compiled_again_when_a_file_beside_it_has_changed(tmp_path):
    """Instructions that other files of a folder write are part of what is on disk."""
    path, beside = tmp_path / "some_kernels.py", tmp_path / "beside.py"
    path.write_text(SOURCE)
    for change, hits in (("a = 1", 0), (None, 1), ("a = 22", 0)):
        if change is not None:
            beside.write_text(change)
        compiled_file._stamp.cache_clear()
        spec = importlib.util.spec_from_file_location("some_kernels", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.double(2) == 4
        assert sum(module.double._fast.stats.cache_hits.values()) == hits

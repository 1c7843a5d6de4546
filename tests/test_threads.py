import math
import os
from pathlib import Path

import pytest
import torch

from winninghand.base import threads as threads_module
from winninghand.base.progress import progress_bar
from winninghand.base.threads import use_threads


@pytest.fixture
def eight(monkeypatch):
    """A machine of eight cores on which nobody chose a number of threads."""
    chosen = []
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(threads_module, "usable_cores", lambda: 8.0)
    return chosen


@pytest.mark.parametrize(
    ("load", "cores", "threads", "said"),
    [
        (0.3, 8.0, None, None),
        (5.2, 8.0, 3, "3 threads instead of 8: the load of this machine of 8 cores is 5.2"),
        (40.0, 8.0, 1, "1 thread instead of 8: the load of this machine of 8 cores is 40.0"),
        (0.1, 2.0, 2, "2 threads instead of 8: this process may use 2 cores"),
        (None, 1.5, 2, "2 threads instead of 8: this process may use 1.5 cores"),
    ],
)
def test_threads_are_as_many_as_cores_are_free(eight, monkeypatch, caplog, load, cores, threads, said):
    monkeypatch.setattr(threads_module, "busy_cores", lambda: load)
    monkeypatch.setattr(threads_module, "usable_cores", lambda: cores)
    use_threads()
    # Not before the work begins: what is refused until then is refused in one line.
    assert eight == ([] if threads is None else [threads]) and not caplog.records
    with progress_bar("working", 1):
        pass
    assert [record.getMessage() for record in caplog.records] == (
        [] if said is None else [f"{said}; --threads sets the number"]
    )


def test_threads_that_somebody_chose_are_kept(eight, monkeypatch, caplog):
    monkeypatch.setattr(threads_module, "busy_cores", lambda: 7.0)
    use_threads(5)
    assert eight == [5]
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    use_threads()
    with progress_bar("working", 1):
        pass
    assert eight == [5] and not caplog.records


def test_the_quota_of_a_control_group_is_read(tmp_path):
    assert threads_module._quota(tmp_path) == math.inf
    for text, cores in (
        ("150000 100000\n", 1.5),
        ("max 100000\n", math.inf),
        ("x", math.inf),
        ("1 0", math.inf),
    ):
        Path(tmp_path, "cpu.max").write_text(text)
        assert threads_module._quota(tmp_path) == cores
    assert 1 <= threads_module.usable_cores() <= (os.cpu_count() or 1)

"""A study by Ray: the same rows as by one worker, whatever dies on the way."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from winninghand.base.errors import InputError
from winninghand.images import load_images
from winninghand.results import Results
from winninghand.studies import load_study, run_study

pytest.importorskip("ray")
from winninghand.studies import ray_executor
from winninghand.studies.ray_executor import RayExecutor

STUDY = """
title = "dense, lrr and lth on digits"
protocol = "equal_schedule"
[recipe]
network = {name = "conv2", width = 2}
compression = {milestones = [0.5]}
training = {epochs = 2, batch_size = 64, precision = "32-true"}
[[sweeps]]
"compression.method" = ["dense", "lrr", "lth"]
"compression.sparsity" = [0.5, 0.9]
[[decks]]
name = "lrr"
cards = [{"compression.method" = "lrr"}]
settings = {max_active = 1}
[evaluation]
corruptions = "contrast"
severities = [5]
limit = 100
"""
RUNS, DECKS = 5, 2
# Times, and what says where a run was.
APART = ("seconds", "machine", "commit", "threads")

DRIVER = """
import sys
import time
from pathlib import Path
from winninghand.images import load_images
from winninghand.studies import load_study, run_study
from winninghand.studies.ray_executor import RayExecutor
if __name__ == "__main__":
    study, out, address, told = sys.argv[1:]
    executor = RayExecutor(address=address)
    for run in run_study(load_study(study), load_images("digits"), Path(out), executor=executor):
        with Path(told).open("a") as file:
            print(run.name, file=file)
"""


def rows(out):
    """Return all rows, but for times, by run and cell."""
    found = [{key: value for key, value in row.items() if key not in APART} for row in Results(out).cells]
    return sorted(found, key=lambda row: (row["run"], row["corruption"], row["severity"]))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = tmp_path_factory.mktemp("undisturbed")
    (place / "study.toml").write_text(STUDY)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "winninghand", "study", str(place / "study.toml"), "--threads", "1"]
    words += ["--out", str(place / "out")]
    subprocess.run(words, check=True, capture_output=True, env=environment, timeout=600)
    found = rows(place / "out")
    assert len({row["run"] for row in found}) == RUNS + DECKS
    return place / "study.toml", found


@pytest.mark.slow
def test_two_workers_give_the_same_rows(undisturbed, tmp_path):
    path, found = undisturbed
    list(run_study(load_study(path), load_images("digits"), tmp_path, executor=RayExecutor(workers=2)))
    assert rows(tmp_path) == found
    runs = [folder for folder in tmp_path.iterdir() if (folder / "run.json").exists()]
    assert sum((folder / "card.card").exists() for folder in runs) == RUNS
    assert len(runs) == RUNS + 1  # and the first training of lth
    assert len(list((tmp_path / "decks").iterdir())) == DECKS


@pytest.mark.slow
def test_a_worker_ends_what_it_has_begun_before_it_begins_what_comes_later(undisturbed, tmp_path):
    study = load_study(undisturbed[0]).model_copy(update={"decks": []})
    images = load_images("digits")
    ended = [run.name for run in run_study(study, images, tmp_path, executor=RayExecutor(workers=1))]
    assert ended == [run["run"] for run in Results(tmp_path).study["runs"]]


@pytest.mark.slow
def test_a_node_and_the_driver_may_die(undisturbed, tmp_path):
    from ray.cluster_utils import Cluster

    path, found = undisturbed
    out = tmp_path / "out"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    driver = None

    def driven(told):
        words = [sys.executable, "-c", DRIVER, str(path), str(out), cluster.address, str(told)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": (tmp_path / "driver.log").open("a")}
        return subprocess.Popen(words, start_new_session=True, **quiet)

    def wait_for(told, count):
        end = time.monotonic() + 300
        while not told.exists() or len(told.read_text().split()) < count:
            assert time.monotonic() < end
            assert driver.poll() is None, (tmp_path / "driver.log").read_text()
            time.sleep(0.1)
        return set(told.read_text().split())

    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    try:
        doomed = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        driver = driven(first)
        wait_for(first, 1)  # both nodes are at work
        cluster.remove_node(doomed, allow_graceful=False)
        wait_for(first, 2)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        before = {row["run"] for row in Results(out).cells}
        assert 2 <= len(before) < RUNS
        cluster.add_node(num_cpus=1)
        driver = driven(second)
        assert driver.wait(timeout=600) == 0
        told = second.read_text().split()
        assert set(told[: len(before)]) == before  # what is finished is not done again
        assert len(told) == RUNS + DECKS
    finally:
        if driver is not None and driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
        cluster.shutdown()
    assert rows(out) == found
    assert not Results(out).failed


@pytest.mark.slow
def test_a_study_that_is_told_to_end_says_how_to_go_on(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    words = [sys.executable, "-m", "winninghand", "study", str(tmp_path / "study.toml")]
    words += ["--out", str(tmp_path / "out"), "--workers", "1"]
    with subprocess.Popen(words, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True) as driver:
        said = driver.stdout.readline()  # Ray has begun
        driver.send_signal(signal.SIGTERM)
        said += driver.communicate(timeout=60)[0]
    assert driver.returncode == 128 + signal.SIGTERM
    assert said.endswith("winninghand: interrupted; run the same command again to go on where it was\n")
    assert "SIGTERM" not in said


def test_an_address_that_does_not_answer_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(ray_executor, "SECONDS_TO_ANSWER", 1.0)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(InputError, match=f"no Ray cluster answers at {address} in 1 s"):
            RayExecutor(address=address)


@pytest.mark.parametrize(
    ("share", "address", "named"),
    [
        (1.5, "127.0.0.1:1", "a share of a GPU up to 1"),
        (float("nan"), None, "a share of a GPU up to 1"),
        pytest.param(
            *(0.25, None, "no GPU that runs could share"),
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_a_share_of_a_gpu_that_no_run_can_get_is_told_in_one_line(share, address, named):
    """Ray itself would wait for such a GPU for ever."""
    with pytest.raises(InputError, match=named):
        RayExecutor(workers=1, address=address, gpus_per_run=share)


def test_ray_is_not_imported_unless_asked():
    code = "import sys, winninghand.studies, winninghand.cli.study; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0

"""Runs of a study by Ray: on the cores of this machine, or on a cluster whose nodes see none of its files.

A node gets the images, once, and with each task the files that it goes on from. It does one phase, and its
files come back; then the next phase may be done anywhere. So the folder of the study is on the driver alone,
and a node that dies costs at most the phase that it was in.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winninghand.base.device import best_device
from winninghand.base.errors import InputError
from winninghand.base.extras import needed
from winninghand.results import RunResult
from winninghand.studies.executors import AnyTask, BlockedError, Done, Executor, Failed, Work, check_parent
from winninghand.studies.work import Files, TrainAndMeasure

_LOG = logging.getLogger("winninghand")

SECONDS_TO_ANSWER = 20.0
ATTEMPTS = 3
"""How often a task is given out whose node or process dies."""


class RayExecutor(Executor):
    """Gives the phases of runs to Ray's workers, as many at once as there are.

    `workers` is how many work at once: by default as many as this machine has cores, or as the cluster has
    room for. `address` is that of a cluster; without one, Ray is started for this study, and listens to this
    machine alone. `gpus_per_run` is the share of a GPU that a run gets, `threads` how many of PyTorch's
    threads, each of which takes a core. Nothing is reported to Ray's makers, and no dashboard is started.

    Raises `InputError` where no cluster answers, and for a share of a GPU that no run can get.
    """

    def __init__(
        self,
        workers: int | None = None,
        address: str | None = None,
        gpus_per_run: float | None = None,
        threads: int = 1,
    ) -> None:
        self._ray: Any = needed("ray", "ray", "for studies on several workers")
        self._workers = workers
        self._address = address
        self._gpus = gpus_per_run
        self._threads = threads
        # Before a folder is made.
        _check_gpus(gpus_per_run, elsewhere=address is not None)
        if address is not None:
            _check_answers(address)

    def run(self, tasks: Iterable[AnyTask], work: Work) -> Iterator[Done | Failed]:
        """Yield each task once it has ended; Ray is stopped, or the cluster left, at the end."""
        if not isinstance(work, TrainAndMeasure):
            raise TypeError("the work of a study is needed, as its files are sent around")
        with _termination_kept():
            self._connect()
        try:
            self._warn_of_waiting()
            yield from _Dispatch(self._ray, work, self._most, self._resources(), self._threads).run(tasks)
        finally:
            self._ray.shutdown()

    def _connect(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        if self._ray.is_initialized():
            raise InputError("this process uses Ray already; end that by ray.shutdown()")
        if self._address is None:
            from winninghand.base.threads import usable_cores

            cores = (self._workers or max(1, int(usable_cores() // self._threads))) * self._threads
            self._ray.init(address="local", num_cpus=cores, _node_ip_address="127.0.0.1", **quiet)
            return
        errors: list[BaseException] = []
        connecting = threading.Thread(target=self._join, args=(errors,), daemon=True)
        connecting.start()
        connecting.join(SECONDS_TO_ANSWER)
        if connecting.is_alive() or errors:
            why = f" ({errors[0]})" if errors else ""
            raise _no_answer(self._address, why)

    def _join(self, errors: list[BaseException]) -> None:
        try:
            self._ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except BaseException as error:  # told by the thread that waits
            errors.append(error)

    def _warn_of_waiting(self) -> None:
        """Say where no node can do a run: Ray waits for one that can."""
        needs = {"CPU": self._threads, "GPU": self._resources()["num_gpus"]}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if not any(all(node.get(key, 0) >= count for key, count in needs.items()) for node in nodes):
            asked = " and ".join(f"{count:g} {key}" for key, count in needs.items() if count)
            _LOG.warning("waiting: no node of the cluster has %s, which a run is to get", asked)

    def _most(self) -> int:
        """Return how many tasks are given out at once: as many as there are workers, so that none queues.

        What queues would come before the next phase of a run that has begun: out of the study's order.
        """
        if self._workers is not None:
            return self._workers
        there = self._ray.cluster_resources()
        slots = int(there.get("CPU", 1) // self._threads)
        gpus = self._resources()["num_gpus"]
        return max(1, min(slots, int(there.get("GPU", 0) / gpus)) if gpus else slots)

    def _resources(self) -> dict[str, float]:
        """Return what a task needs. Where there are GPUs it gets one, or the workers share them."""
        gpus = self._gpus
        if gpus is None:
            there = self._ray.cluster_resources().get("GPU", 0)
            gpus = min(1.0, there / self._workers) if there and self._workers else min(1.0, there)
        return {"num_cpus": self._threads, "num_gpus": gpus}


@contextmanager
def _termination_kept() -> Iterator[None]:
    """Have SIGTERM do what it did before: Ray would print a trace and take it for a failure."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


@dataclass
class _Given:
    """A task that was given out, and how often its node or process died."""

    task: AnyTask
    deaths: int = 0


@dataclass
class _Dispatch:
    """The tasks of a study on their way: which wait for their parents, which are given out.

    `most` says how many may be given out now: nodes come and go.
    """

    ray: Any
    work: TrainAndMeasure
    most: Callable[[], int]
    resources: Mapping[str, float]
    threads: int
    failed: set[str] = field(default_factory=set)

    def run(self, tasks: Iterable[AnyTask]) -> Iterator[Done | Failed]:
        """Yield each task once it has ended."""
        # One process does one task after the other; with GPUs Ray would start a new one for each.
        self._remote = self.ray.remote(max_retries=0, max_calls=0)(_one_phase).options(**self.resources)
        self._shared = self.ray.put(self.work.within(Path()))
        coming = iter(tasks)
        waiting: list[AnyTask] = []
        open_names: set[str] = set()
        given: dict[Any, _Given] = {}
        again: deque[_Given] = deque()
        while True:
            most = self.most()
            while len(given) < most:
                one = again.popleft() if again else self._next(coming, waiting, open_names)
                if one is None:
                    break
                try:
                    check_parent(one.task, self.failed)
                except BlockedError as error:
                    open_names.discard(one.task.name)
                    self.failed.add(one.task.name)
                    yield Failed(one.task, error)
                    continue
                given[self._give(one.task)] = one
            if not given:
                return
            ready, _ = self.ray.wait(list(given), num_returns=1, timeout=1.0)
            for reference in ready:
                one = given.pop(reference)
                ended = self._taken(reference, one)
                if ended is None:
                    again.append(one)
                    continue
                open_names.discard(one.task.name)
                yield ended

    def _next(self, coming: Iterator[AnyTask], waiting: list[AnyTask], open_names: set[str]) -> _Given | None:
        """Return the first task whose parent is not on its way; those before it are put aside."""
        for place, task in enumerate(waiting):
            if task.parent is None or task.parent.name not in open_names:
                del waiting[place]
                return _Given(task)
        for task in coming:
            open_names.add(task.name)
            if task.parent is None or task.parent.name not in open_names:
                return _Given(task)
            waiting.append(task)
        return None

    def _give(self, task: AnyTask) -> Any:  # noqa: ANN401 (an ObjectRef)
        """Give out a task, with the files that it needs."""
        return self._remote.remote(self._shared, task, self.work.needed(task), self.threads)

    def _taken(self, reference: Any, one: _Given) -> Done | Failed | None:  # noqa: ANN401
        """Take what came of a task, and write its files; None where it is to be given out again."""
        try:
            done, result, files = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            self.failed.add(one.task.name)
            cause = error.cause if isinstance(error.cause, Exception) else error
            return Failed(one.task, cause)
        except self.ray.exceptions.RayError as error:
            one.deaths += 1
            if one.deaths < ATTEMPTS:
                return None
            self.failed.add(one.task.name)
            died = InputError(f"the process or the node that it was on died ({type(error).__name__})")
            return Failed(one.task, died, attempts=one.deaths)
        self.work.take(one.task, files)
        one.deaths = 0
        return Done(one.task, result) if done else None


def _one_phase(
    work: TrainAndMeasure, task: AnyTask, files: Files, threads: int
) -> tuple[bool, RunResult | None, dict[str, bytes]]:
    """Do one phase of a task in a folder of its own; return whether it is done, its result, and its files."""
    import torch

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory(prefix="winninghand-") as place:
        here = work.within(Path(place))
        here.fill(task, files)
        done, result = here.one_phase(task)
        return done, result, here.left(task)


def _check_gpus(share: float | None, elsewhere: bool) -> None:
    """Raise `InputError` for a share of a GPU that is none, or that this machine has not."""
    if not share:
        return
    if not 0 < share <= 1 and not (share > 1 and float(share).is_integer()):
        raise InputError(f"a run gets a share of a GPU up to 1, or a whole number of them, not {share:g}")
    if not elsewhere and best_device().type not in ("cuda", "xpu"):
        raise InputError("this machine has no GPU that runs could share; leave --gpus-per-run out")


def _check_answers(address: str) -> None:
    """Raise `InputError` where nothing listens at HOST:PORT; how else a cluster can be named Ray knows."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    end = time.monotonic() + SECONDS_TO_ANSWER
    while True:
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=2):
            return
        if time.monotonic() > end:
            raise _no_answer(address)
        time.sleep(0.5)


def _no_answer(address: str, why: str = "") -> InputError:
    return InputError(
        f"no Ray cluster answers at {address} in {SECONDS_TO_ANSWER:g} s{why}; "
        "start one by `ray start --head`, or leave --ray out"
    )

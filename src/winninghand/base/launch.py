"""One command in several processes, as `torchrun` begins them; all end where one of them dies."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import IO

from winninghand.base.errors import InputError, counted
from winninghand.base.threads import usable_cores

_LAUNCHED = "WINNINGHAND_LAUNCHED"
_SECONDS_BETWEEN_LOOKS = 0.1
# How long the others may take to say why they end, too; on a busy machine as long as the first that failed.
_SECONDS_TO_END, _MOST_SECONDS_TO_END = 5.0, 30.0
_INTERRUPTED = 130


def are_several() -> bool:
    """Say whether `torchrun`, or `launch`, has begun this process beside others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def check_processes(count: int, device: str | None) -> None:
    """Raise `InputError` for more processes than this machine has GPUs, or cores where they train on CPUs.

    `device` is where they are to train, such as `cuda`; the best one for None.
    """
    if _kind(device) == "cuda":
        import torch

        there, what = torch.cuda.device_count(), "GPU"
    else:
        there, what = max(1, math.ceil(usable_cores())), "core"
    if count <= there:
        return
    advice = f"give --devices {there}" if there > 1 else "leave it out"
    if not there:
        advice += ", and --device cpu"
    raise InputError(
        f"--devices {count} begins {count} processes, and there {'is' if there == 1 else 'are'} "
        f"{counted(there, what)} for them; {advice}"
    )


def _kind(device: str | None) -> str:
    """Return the kind of a device, such as `cuda`; only to find the best one PyTorch is imported."""
    if device is None:
        from winninghand.base.device import best_device

        return best_device().type
    return device.partition(":")[0]


def launch(words: Sequence[str], count: int) -> int:
    """Run `winninghand` with these words in `count` processes of this machine; return the exit code.

    The first process has this one's output. What the others say is shown where one of them fails: then
    all are ended. Raises `InputError` that names a process which was killed, or which failed alone.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    shared = {
        "TORCHELASTIC_RUN_ID": f"winninghand-{os.getpid()}",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, int(usable_cores() // count))),
        _LAUNCHED: "1",
    }
    with ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count)]
        started: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, started)
        for rank, output in enumerate(said):
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "winninghand", *words],
                env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL if rank else None,
                stderr=output if rank else None,
                start_new_session=True,  # Ctrl-C comes to this process, which passes it on
            )
            started.append(process)
        try:
            return _outcome(started, said)
        except KeyboardInterrupt:
            for process in started:
                process.send_signal(signal.SIGINT)
            _wait(started)
            return _INTERRUPTED


def end_with_launcher() -> None:
    """Let this process, if `launch` began it, end when the one that did ends, however that dies."""
    if os.environ.get(_LAUNCHED):
        threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(1)


def _outcome(started: Sequence[subprocess.Popen[bytes]], said: Sequence[IO[bytes]]) -> int:
    """Wait for the end of all processes, or of the first one that fails; return the exit code."""
    began = time.monotonic()
    while True:
        codes = [process.poll() for process in started]
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed:
            break
        if None not in codes:
            return 0
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    killed = next((rank for rank in failed if (codes[rank] or 0) < 0), None)
    if killed is not None:
        _end(started)
        name = signal.Signals(-(codes[killed] or 0)).name
        raise InputError(
            f"process {killed} of {len(started)} was killed ({name}); run the same command again to go on "
            "where it was"
        )
    _wait(started, time.monotonic() - began)
    if started[0].returncode and started[0].returncode > 0:
        return started[0].returncode  # it has said why
    said[failed[0]].seek(0)
    lines = said[failed[0]].read().decode(errors="replace").splitlines() or ["it did not say why"]
    raise InputError(f"process {failed[0]} of {len(started)}: {lines[-1].removeprefix('winninghand: ')}")


def _wait(started: Sequence[subprocess.Popen[bytes]], seconds: float = 0.0) -> None:
    """Give processes some time to end, about so many seconds."""
    until = time.monotonic() + min(max(seconds, _SECONDS_TO_END), _MOST_SECONDS_TO_END)
    for process in started:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))


def _end(started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Kill what still runs: files are written whole, so that nothing is lost by it."""
    for process in started:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

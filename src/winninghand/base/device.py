"""The device at hand, what pays there, and how stored pixels become what networks see."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError, counted

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def best_device() -> torch.device:
    """Return the current accelerator, or the CPU where there is none."""
    if torch.accelerator.is_available():
        accelerator = torch.accelerator.current_accelerator()
        if accelerator is not None:
            return accelerator
    return torch.device("cpu")


def resolve_device(device: torch.device | str | None) -> torch.device:
    """Return a device that somebody chose, such as `"cpu"` or `"cuda:1"`; the best one for None.

    Raises `InputError` for what is no device, and for one that cannot be used here.
    """
    if device is None:
        return best_device()
    try:
        # A device of no numbers ("meta") is refused here too: nothing comes back from it.
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"the device {str(device)!r} cannot be used here; choose cpu, or name none to have the best one, "
            f"which is {best_device()}"
        ) from error
    return torch.device(device)


def device_of(module: nn.Module) -> torch.device:
    """Return where the parameters of a module are; the CPU for one without any."""
    return next(module.parameters(), torch.empty(0)).device


@contextmanager
def on_device(module: nn.Module, device: torch.device | str | None) -> Iterator[None]:
    """Have a module on a device for a while (see `resolve_device`); for None it stays where it is."""
    home = device_of(module)
    if device is not None:
        module.to(resolve_device(device))
    try:
        yield
    finally:
        if device is not None:
            module.to(home)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Put the module into evaluation mode, so that no statistic moves, and back into its mixture of modes."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def use_threads(threads: int | None = None) -> None:
    """Have PyTorch use so many threads; for None, as many as cores are free.

    Where that is less than usual it is told, with the first progress that is shown.

    More threads than free cores wait for each other after every operation, and are slower than one. The
    environment's `OMP_NUM_THREADS` and `MKL_NUM_THREADS` stand: somebody chose them.
    """
    from winninghand.base.progress import say_with_progress

    if threads is not None:
        torch.set_num_threads(threads)
        return
    if os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS"):
        return
    usual, cores, busy = torch.get_num_threads(), usable_cores(), busy_cores()
    free = math.inf if busy is None else (os.cpu_count() or 1) - busy
    chosen = max(1, min(usual, round(min(cores, free))))
    if chosen < usual:
        loaded = f"the load of this machine of {counted(os.cpu_count() or 1, 'core')} is {busy or 0:.1f}"
        why = loaded if free < cores else f"this process may use {cores:g} cores"
        say_with_progress(f"{counted(chosen, 'thread')} instead of {usual}: {why}; --threads sets the number")
        torch.set_num_threads(chosen)


def usable_cores() -> float:
    """Return how many cores this process may use, by its affinity and the quota of its control group."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = float(len(affinity(0)) if affinity else os.cpu_count() or 1)
    root = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        groups = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
        own = next((line[3:].lstrip("/") for line in groups if line.startswith("0::")), "")
        for group in (root / own, *(root / own).parents):
            if group.is_relative_to(root):
                cores = min(cores, _quota(group))
    return cores


def busy_cores() -> float | None:
    """Return how many of the machine's cores were busy in the last minute; None where nobody counts them."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def _quota(group: Path) -> float:
    """Return how many cores a control group gives its processes together; infinity without a bound."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)  # "max" is no number
    return math.inf


def bf16_pays(device: torch.device) -> bool:
    """Say whether `device` multiplies bfloat16 numbers faster than float32 ones."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without the instruction, oneDNN emulates bf16 and is slower than fp32.
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


Precision = Literal["auto", "32-true", "bf16-mixed"]


def resolve_precision(precision: Precision, device: torch.device) -> Literal["32-true", "bf16-mixed"]:
    """Return what `auto` stands for on a device: bf16 where it pays there."""
    if precision == "auto":
        return "bf16-mixed" if bf16_pays(device) else "32-true"
    return precision


def make_fabric(precision: Precision, device: torch.device | str | None = None) -> Fabric:
    """Return a Fabric on a device, the best at hand for None; see `resolve_device`."""
    from lightning_fabric import Fabric

    # Fabric announces its precision on standard error, where progress and errors belong.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    there = resolve_device(device)
    return Fabric(
        accelerator=there.type,
        devices=1 if there.index is None else [there.index],
        precision=resolve_precision(precision, there),
    )


def channels_last_pays(device: torch.device) -> bool:
    """Say whether convolutions on `device` are faster on channels-last memory."""
    return device.type in ("cpu", "cuda")


def to_unit(images: Tensor) -> Tensor:
    """Return uint8 (…, H, W, 3) as float32 (…, 3, H, W) in [0, 1]; memory stays channels-last."""
    return images.movedim(-1, -3).float().div_(255)


def to_bytes(images: Tensor) -> Tensor:
    """Return float (…, 3, H, W) in [0, 1] as uint8 (…, H, W, 3), rounded to the nearest level."""
    return images.mul(255).round_().clamp_(0, 255).byte().movedim(-3, -1)

"""The device at hand, what pays there, and how stored pixels become what networks see."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError

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


def images_at_once(most: int, side: int, size: tuple[int, int]) -> int:
    """Return how many images of `size` (height, width) a network sees at once, where that is free.

    They are `most` up to side × side pixels, and so many fewer of larger ones that memory does not grow.
    """
    return max(1, min(most, most * side * side // (size[0] * size[1])))


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

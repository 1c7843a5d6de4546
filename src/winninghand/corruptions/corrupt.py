"""What a corruption is, and `corrupt`: any of them on a batch of any length, worked through in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from numbers import Real
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.base import catalog
from winninghand.base.errors import InputError, checked_whole, shown
from winninghand.base.randomness import CounterRNG, Indices, image_indices
from winninghand.base.registry import Registry, nearest
from winninghand.corruptions.jpeg import ARCHIVES_QUALITY, checked_save, saved_and_read
from winninghand.corruptions.parameters import Setting, Table, checked_parameters, setting

Function = Callable[[Tensor, int, CounterRNG], Tensor]
SettingFunction = Callable[[Tensor, Setting[Any], CounterRNG], Tensor]

SEVERITIES = (1, 2, 3, 4, 5)
BENCHMARK_GROUPS = ("common", "extra", "bar", "imagenet_bar")


@dataclass(frozen=True)
class Corruption:
    """One corruption at five severities (Hendrycks & Dietterich 2019; Mintun, Kirillov & Xie 2021).

    `function` takes images uint8 (N, H, W, 3), a severity in 1..5 and a `CounterRNG` with one
    stream of random numbers per image; it returns new images of the same shape, type and device.
    Where the corruption has a `table` of published parameters, `function` takes a `Setting` in the
    severity's place. `family` is "noise", "blur", "weather", "digital", "occlusion", "warp" or a word of
    another package's own; `group` is what selects it together with others. A `deterministic` one draws no
    random numbers. A `lean` one works on one image after the other, so that many at a time need little more
    memory than a few. `unavailable` returns None, or one line: why this machine cannot apply the
    corruption, and the command that mends it.
    """

    name: str
    family: str
    group: str
    deterministic: bool
    function: Function | SettingFunction
    unavailable: Callable[[], str | None]
    table: Table[Any] | None = None
    lean: bool = False

    def apply(self, images: Tensor, severity: int, rng: CounterRNG, parameters: str = "auto") -> Tensor:
        """Return new images; `parameters` are those of `corrupt`."""
        function: Callable[[Tensor, Any, CounterRNG], Tensor] = self.function
        if self.table is None:
            return function(images, severity, rng)
        _, height, width, _ = images.shape
        return function(images, setting(self.table, severity, height, width, parameters), rng)


def corruption(
    name: str,
    family: str,
    group: str = "other",
    deterministic: bool = False,
    unavailable: Callable[[], str | None] = lambda: None,
    table: Table[Any] | None = None,
    lean: bool = False,
) -> Callable[[Function | SettingFunction], Corruption]:
    """Return a decorator that makes a function the corruption `name`."""

    def make(function: Function | SettingFunction) -> Corruption:
        return Corruption(name, family, group, deterministic, function, unavailable, table, lean)

    return make


def corruption_names(selection: str | Sequence[str] = "common") -> tuple[str, ...]:
    """Return the names that `selection` stands for, each once.

    `selection` is a name, several of these separated by commas, or a sequence of them. "common"
    stands for the fifteen of CIFAR-10-C, "extra" for its other four, "all" for both, "bar" for the
    ten of CIFAR-10-C-bar, and "imagenet_bar" for the five that only ImageNet-C-bar has: these are
    the same whatever else is installed. Any other group stands for those of other packages that
    carry it. Raises `InputError` for an unknown name or an empty selection.
    """
    items = selection.split(",") if isinstance(selection, str) else selection
    items = list(items) if isinstance(items, Iterable) else [items]
    if not all(isinstance(item, str) for item in items):
        raise InputError(f"corruptions must be a name or a list of names, not {shown(repr(selection))}")
    names = [name for item in items for name in _meant_by(item.strip())]
    if not names:
        raise InputError("no corruption is selected; name some, or 'common', 'extra', 'all' or 'bar'")
    return tuple(dict.fromkeys(names))


def missing_corruptions(names: Sequence[str]) -> dict[str, str]:
    """Return those of `names` that this machine cannot apply, each with the reason and its mending."""
    reasons = {name: CORRUPTIONS[name].unavailable() for name in names}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def available_names(selection: str | Sequence[str] = "common") -> tuple[str, ...]:
    """Return the names that `selection` stands for; `InputError` where this machine cannot apply one."""
    names = corruption_names(selection)
    for name, reason in missing_corruptions(names).items():
        raise InputError(f"{name} cannot be had here: {reason}; name others")
    return names


def family_of(name: str) -> str:
    """Return the family of a corruption, "other" for one that is not installed here.

    Results that were measured elsewhere can name such a one.
    """
    return CORRUPTIONS[name].family if name in CORRUPTIONS else "other"


def group_of(name: str) -> str:
    """Return the group of a corruption, such as "common"; "other" for one that is not installed here."""
    return CORRUPTIONS[name].group if name in CORRUPTIONS else "other"


def _meant_by(item: str) -> list[str]:
    if item == "all":
        return _meant_by("common") + _meant_by("extra")
    if item in BENCHMARK_GROUPS:
        return [name for name in CORRUPTIONS.own if CORRUPTIONS[name].group == item]
    if not item or item in CORRUPTIONS:
        return [item] if item else []
    foreign = {name: one for name, one in CORRUPTIONS.usable().items() if name not in CORRUPTIONS.own}
    found = [name for name, one in foreign.items() if one.group == item]
    if not found:
        groups = [*BENCHMARK_GROUPS, "all", *(one.group for one in foreign.values())]
        raise InputError(
            f"unknown corruption {shown(repr(item))}; {nearest(item, dict.fromkeys([*groups, *CORRUPTIONS]))}"
        )
    return found


CORRUPTIONS: Registry[Corruption] = catalog.CORRUPTIONS


Images = TypeVar("Images", npt.NDArray[np.uint8], Tensor)
EitherImages = npt.NDArray[np.uint8] | Tensor

# A chunk's planes should fit a core's cache; a GPU wants them large.
PIXELS_PER_CHUNK = {"cpu": 2**16, "cuda": 2**23}
# Large enough that what is done once a chunk costs nothing, small enough to be no matter of memory.
LEAN_FACTOR = 16
SMALLEST_SIDE = 8
_MOST_SEVERITIES = 1000


def corrupt(
    images: Images,
    name: str,
    severity: int,
    seed: int = 0,
    start: int = 0,
    indices: Indices | None = None,
    parameters: str = "auto",
    saved_as: str = "pixels",
) -> Images:
    """Return `images` under the corruption `name` at `severity`, an integer in 1..5.

    `images` is uint8 (N, H, W, 3) in 0..255, an array or a tensor on any device; the same kind
    comes back, on the same device. Grey images (N, H, W) or (N, H, W, 1) come back with three
    channels. One image (H, W, 3) or (H, W, 1) comes back as (H, W, 3).

    `parameters` says whose severities the common and the extra ones have: "cifar10-c" (32 pixels),
    "tiny-imagenet-c" (64), "imagenet-c" (224), or "auto", the set nearest in size. Lengths in pixels
    grow with the shorter side. Other corruptions have one set, their own. `saved_as="jpeg"` saves each
    result as JPEG of quality 85 and reads it back, as the published archives at 64 and 224 pixels are
    saved; it takes a quarter to a third of the noise away. "pixels" leaves results as they are.

    What is random about image i depends on the seed, the corruption, the severity and the image's
    index only: `start` + i, or `indices`[i] where whole numbers (N,) are given. On the CPU the
    pixels do not depend on batch size, order or threads; a GPU gives the same distribution.

    Raises `InputError` for an unknown name, set or way to save, a severity outside 1..5, a negative
    seed, images of another type or shape (channels first included), an empty batch, and where this
    machine cannot apply the corruption.
    """
    entry = CORRUPTIONS[name]
    level = checked_severity(severity)
    reason = entry.unavailable()
    if reason is not None:
        raise InputError(reason)
    seed = checked_whole("seed", seed)
    parameters, saved_as = checked_parameters(parameters), checked_save(saved_as)
    checked_images(images)
    if is_single(images):
        single: Images = corrupt(images[None], name, level, seed, start, indices, parameters, saved_as)[0]
        return single
    order = image_indices(indices, len(images), start)
    stream = f"{seed}/{name}/{level}"
    length = _chunk_length(images, entry.lean)

    def apply(chunk: Tensor, rng: CounterRNG) -> Tensor:
        corrupted = entry.apply(chunk, level, rng, parameters)
        if corrupted.shape != chunk.shape or corrupted.dtype != torch.uint8:
            raise InputError(
                f"the corruption {name!r} made {corrupted.dtype} {tuple(corrupted.shape)} of uint8 "
                f"{tuple(chunk.shape)}; mend its function, which must keep type and shape"
            )
        return saved_and_read(corrupted, ARCHIVES_QUALITY, optimize=True) if saved_as == "jpeg" else corrupted

    if isinstance(images, Tensor):
        result = torch.empty(*images.shape[:3], 3, dtype=torch.uint8, device=images.device)
        _fill(result, images, apply, stream, order, length)
        return result
    array = np.empty((*images.shape[:3], 3), np.uint8)
    _fill(torch.from_numpy(array), images, apply, stream, order, length)
    return array


def checked_severity(severity: int) -> int:
    """Return `severity`, or raise `InputError` when it is not a whole number in 1..5."""
    return checked_whole("severity", severity, SEVERITIES[0], SEVERITIES[-1])


def checked_severities(severities: object) -> tuple[int, ...]:
    """Return severities in their order, each once; `InputError` unless they are whole numbers in 1..5."""
    if not isinstance(severities, Iterable) or isinstance(severities, str | bytes):
        raise _no_severities(severities)
    levels = list(islice(severities, _MOST_SEVERITIES))
    if not levels or not all(map(_is_severity, levels)):
        raise _no_severities(levels)
    return tuple(int(level) for level in dict.fromkeys(levels))


def _is_severity(level: object) -> bool:
    return isinstance(level, Real) and not isinstance(level, bool) and level in SEVERITIES


def _no_severities(given: object) -> InputError:
    return InputError(
        f"severities must be whole numbers in 1..5, such as [1, 3, 5], not {shown(repr(given))}"
    )


def _chunk_length(images: EitherImages, lean: bool) -> int:
    """Return how many images a corruption works on at a time."""
    device = images.device.type if isinstance(images, Tensor) else "cpu"
    most = PIXELS_PER_CHUNK.get(device, 2**16) * (LEAN_FACTOR if lean and device == "cpu" else 1)
    return max(1, most // (images.shape[1] * images.shape[2]))


def _fill(
    result: Tensor,
    images: EitherImages,
    apply: Callable[[Tensor, CounterRNG], Tensor],
    stream: str,
    order: Tensor,
    length: int,
) -> None:
    """Write the corrupted images into `result`, `length` at a time."""
    for begin in range(0, len(result), length):
        part = slice(begin, begin + length)
        rng = CounterRNG(stream, order[part].to(result.device))
        result[part] = apply(_three_channels(images[part]), rng)


def _three_channels(chunk: EitherImages) -> Tensor:
    """Return images as a contiguous uint8 tensor (N, H, W, 3)."""
    tensor = chunk if isinstance(chunk, Tensor) else torch.from_numpy(np.array(chunk))
    if tensor.ndim == 3:
        tensor = tensor[..., None]
    return tensor.expand(*tensor.shape[:3], 3).contiguous()


def checked_images(images: Images) -> Images:
    """Return `images`, or raise `InputError` when they are not a batch of uint8 images."""
    if not isinstance(images, Tensor | np.ndarray):
        raise InputError(
            f"images must be a NumPy array or a torch tensor, not {type(images).__name__}; "
            "for pictures of Pillow there is wh.transforms"
        )
    if images.dtype not in (torch.uint8, np.uint8):
        raise InputError(f"images must be uint8 in 0..255, not {images.dtype}; convert them first")
    shape = tuple(images.shape)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        advice = "; move the channels last" if len(shape) == 4 and shape[1] in (1, 3) else ""
        raise InputError(
            f"images must have the shape (N, H, W, 3), (N, H, W, 1) or (N, H, W), not {shape}{advice}"
        )
    if len(shape) == 3 and shape[0] == 3 and not is_single(images):
        raise InputError(
            f"{shape} may be one image with its channels first or three grey ones; "
            "pass (H, W, 3) for one image and (3, H, W, 1) for three"
        )
    if 0 in shape:
        raise InputError(f"the batch holds no images: its shape is {shape}")
    sides = shape[:2] if is_single(images) else shape[1:3]
    if min(sides) < SMALLEST_SIDE:
        raise InputError(f"images must be at least {SMALLEST_SIDE} pixels high and wide, not {sides}")
    return images


def is_single(images: EitherImages) -> bool:
    """Say whether `images` is one image (H, W, 3) or (H, W, 1); grey ones of that width are too small."""
    return images.ndim == 3 and images.shape[-1] in (1, 3)

"""One augmented view of any number of images, reproducible image by image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winninghand.augmentation.domain import Domain, make_domain
from winninghand.base.device import to_bytes
from winninghand.base.errors import InputError, checked_whole
from winninghand.base.randomness import LARGEST_START

Images = TypeVar("Images", npt.NDArray[np.uint8], Tensor)

BLOCK = 64
"""Images of one block of indices share one generator."""


def augment(images: Images, name: str | Mapping[str, object], seed: int = 0, start: int = 0) -> Images:
    """Return one augmented view of `images`, uint8 (N, H, W, 3), the same kind and device out.

    One image (H, W, 3) comes back as one. `name` is a domain's name or a mapping of `name` and
    parameters; the view is the last one of `Domain.views`. Image i has index `start` + i, and its view
    depends on its pixels, the domain, `seed` and that index alone: not on the other images of the call
    (save for `hybridaugment`, which mixes images of one block of 64 indices), nor on the thread count.
    The same holds on a GPU, whose random numbers, and so whose views, are others than the CPU's.
    Raises `InputError` for a bad name, parameter, seed, start, or shape and type of the images.
    """
    domain = make_domain(name)
    pixels = _checked(images)
    if pixels.ndim == 3:
        view: Images = augment(images[None], name, seed, start)[0]
        return view
    seed, start = checked_whole("seed", seed), checked_whole("start", start, most=LARGEST_START)
    views = torch.empty_like(pixels)
    first = start // BLOCK
    for block in range(first, -(-(start + len(pixels)) // BLOCK)):
        lower = max(block * BLOCK - start, 0)
        upper = (block + 1) * BLOCK - start
        place = start + lower - block * BLOCK
        views[lower:upper] = _block(
            domain, pixels[lower:upper], place, seeded_generator(seed, block, pixels.device)
        )
    return views if isinstance(images, Tensor) else views.numpy()


def _block(domain: Domain, pixels: Tensor, place: int, generator: torch.Generator) -> Tensor:
    """Return the views of `pixels`, which lie from `place` on in a block that is always drawn whole."""
    # Elsewhere the images are repeated, for domains that mix the images of a batch.
    whole = pixels[(torch.arange(BLOCK, device=pixels.device) - place) % len(pixels)]
    return to_bytes(domain.views(whole, generator)[-1, place : place + len(pixels)])


def seeded_generator(seed: int, number: int, device: torch.device) -> torch.Generator:
    """Return a generator on `device` that two numbers seed together."""
    state = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0] >> np.uint64(1)))


def _checked(images: npt.NDArray[np.uint8] | Tensor) -> Tensor:
    """Return `images` as a tensor uint8 (N, H, W, 3) or (H, W, 3), or raise `InputError`."""
    if not isinstance(images, Tensor | np.ndarray):
        raise InputError(
            f"images must be a NumPy array or a torch tensor, not {type(images).__name__}; "
            "for pictures of Pillow there is wh.transforms"
        )
    shape = tuple(images.shape)
    if images.dtype not in (torch.uint8, np.uint8) or len(shape) not in (3, 4) or shape[-1] != 3:
        advice = "; move the channels last" if len(shape) in (3, 4) and shape[-3] == 3 else ""
        raise InputError(
            f"images must be uint8 (N, H, W, 3) or (H, W, 3), not {images.dtype} {shape}{advice}"
        )
    return images if isinstance(images, Tensor) else torch.from_numpy(np.require(images, None, ["C", "W"]))

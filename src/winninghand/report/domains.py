"""What training domains look like: sample views, and their mean spectra beside the clean one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from winninghand.augmentation import Domain
from winninghand.base.charts import caption_of
from winninghand.base.device import to_bytes, to_unit
from winninghand.images import Split
from winninghand.report.samples import ContactSheet, UInt8Array, side_by_side
from winninghand.spectra import log_spectra

_SAMPLES = 8
_SPECTRUM_IMAGES = 512
_TILE = 72

# Natural logarithms of amplitude: what the ends of the two colour scales stand for.
_SPECTRUM_RANGE = (-4.0, 2.0)
_CHANGE_RANGE = (-2.0, 2.0)


def domains_sheet(domains: Mapping[str, Domain], split: Split, seed: int = 0, data: str = "") -> ContactSheet:
    """Return a sheet with one row per domain, its images of the split drawn from `seed`.

    A row shows eight views, the mean log-amplitude spectrum of 512 views (zero frequency in the
    middle of the left edge, black e⁻⁴ to white e²), and its change from the images as they are
    (blue less, red more, up to a factor e² either way). The caption names the number of images and the seed,
    and the `data` where it is given.
    """
    indices = split.balanced_sample(min(len(split), _SPECTRUM_IMAGES), seed)
    images = torch.from_numpy(split.images[indices])
    chosen = np.random.default_rng(seed).permutation(len(images))[:_SAMPLES]
    clean = log_spectra(to_unit(images)).mean(dim=0)
    strips = [_strip(to_unit(images), chosen, clean)]
    for domain in domains.values():
        views = domain.views(images, torch.Generator().manual_seed(seed))[-1]
        strips.append(_strip(views, chosen, clean))
    columns = (*(f"view {number}" for number in range(1, len(chosen) + 1)), "spectrum", "change")
    return ContactSheet(("images", *domains), columns, tuple(strips), caption_of(data, len(images), seed))


def _strip(views: Tensor, chosen: np.ndarray, clean: Tensor) -> UInt8Array:
    spectrum = log_spectra(views).mean(dim=0)
    tiles = [Image.fromarray(image) for image in to_bytes(views[chosen]).contiguous().numpy()]
    tiles += [_grey(spectrum), _blue_to_red(spectrum - clean)]
    return side_by_side([np.asarray(tile.resize((_TILE, _TILE), Image.Resampling.NEAREST)) for tile in tiles])


def _grey(spectrum: Tensor) -> Image.Image:
    return Image.fromarray(_levels(spectrum, _SPECTRUM_RANGE)).convert("RGB")


def _blue_to_red(change: Tensor) -> Image.Image:
    level = _levels(change, _CHANGE_RANGE).astype(np.int16)
    fade = 255 - 2 * np.abs(level - 128).clip(0, 127)
    red, blue = np.where(level >= 128, 255, fade), np.where(level <= 128, 255, fade)
    return Image.fromarray(np.stack([red, fade, blue], axis=-1).astype(np.uint8))


def _levels(values: Tensor, ends: tuple[float, float]) -> np.ndarray:
    low, high = ends
    return ((values - low) / (high - low)).clamp(0, 1).mul(255).byte().numpy()

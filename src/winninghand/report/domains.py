"""What training domains look like: sample views, and their mean spectra beside the clean one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from winninghand.augmentation import Domain
from winninghand.base.device import to_bytes, to_unit
from winninghand.base.errors import shown
from winninghand.images import Split
from winninghand.spectra import log_spectra

_SAMPLES = 8
_SPECTRUM_IMAGES = 512
_TILE = 72
_GAP = 4
_LABEL = 130

# Natural logarithms of amplitude: what the ends of the two colour scales stand for.
_SPECTRUM_RANGE = (-4.0, 2.0)
_CHANGE_RANGE = (-2.0, 2.0)


def domains_sheet(domains: Mapping[str, Domain], split: Split, seed: int = 0) -> Image.Image:
    """Return a picture with one row per domain, its images of the split drawn from `seed`.

    A row shows eight views, the mean log-amplitude spectrum of 512 views (zero frequency in the
    middle of the left edge, black e⁻⁴ to white e²), and its change from the images as they are
    (blue less, red more, up to a factor e² either way).
    """
    indices = split.balanced_sample(min(len(split), _SPECTRUM_IMAGES), seed)
    images = torch.from_numpy(split.images[indices])
    chosen = np.random.default_rng(seed).permutation(len(images))[:_SAMPLES]
    clean = log_spectra(to_unit(images)).mean(dim=0)
    rows = [_row("images", to_unit(images), chosen, clean)]
    for name, domain in domains.items():
        views = domain.views(images, torch.Generator().manual_seed(seed))[-1]
        rows.append(_row(name, views, chosen, clean))
    sheet = Image.new("RGB", (rows[0].width, sum(row.height + _GAP for row in rows)), "white")
    for number, row in enumerate(rows):
        sheet.paste(row, (0, number * (row.height + _GAP)))
    return sheet


def _row(name: str, views: Tensor, chosen: np.ndarray, clean: Tensor) -> Image.Image:
    spectrum = log_spectra(views).mean(dim=0)
    tiles = [Image.fromarray(image) for image in to_bytes(views[chosen]).contiguous().numpy()]
    tiles += [_grey(spectrum), _blue_to_red(spectrum - clean)]
    row = Image.new("RGB", (_LABEL + len(tiles) * (_TILE + _GAP), _TILE), "white")
    ImageDraw.Draw(row).text((_GAP, _TILE // 2 - 8), shown(name), fill="black", font_size=15)
    for number, tile in enumerate(tiles):
        enlarged = tile.resize((_TILE, _TILE), Image.Resampling.NEAREST)
        row.paste(enlarged, (_LABEL + number * (_TILE + _GAP), 0))
    return row


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

"""Statistics of corrupted images, as `../shared/data/*/statistics.json` gives them."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

SHARED = Path(__file__).parents[2].parent / "shared"
TEST_IMAGES = SHARED / "data/cifar10/plain_text/test-00000-of-00001.parquet"
REFERENCE = SHARED / "data/corruptions/reference.npz"
BAR_REFERENCE = SHARED / "data/cbar/reference.npz"
LARGE_REFERENCES = {side: SHARED / f"data/corruptions-large/reference-{side}.npz" for side in (64, 224)}
STATISTICS = (SHARED / "data/corruptions/statistics.json", SHARED / "data/cbar/statistics.json")

IMAGES = 300
SEEDS = 8
BAND = 4 * np.sqrt(1 + 1 / SEEDS)


@cache
def load_test_images(count: int = IMAGES) -> np.ndarray:
    """The first images of CIFAR-10's test split, uint8 (count, 32, 32, 3), in file order."""
    rows = pq.read_table(TEST_IMAGES, columns=["img"]).column("img").slice(0, count).to_pylist()
    return np.stack([np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB")) for row in rows])


@cache
def reference_statistics() -> dict[str, dict]:
    """The reference's own statistics: for each `<corruption>_<severity>` its `mean8` and `tol`."""
    first, bar = (json.loads(path.read_text()) for path in STATISTICS)
    for cell in bar.values():
        for values in (cell["mean8"], cell.get("tol", {})):
            # Under this name C-bar's file has the mean of each image's own correlation.
            if "res_chcorr" in values:
                values["res_chcorr_per_image"] = values.pop("res_chcorr")
    return {**first["cells"], **bar}


def statistics_of(clean: np.ndarray, corrupted: np.ndarray) -> dict[str, np.ndarray]:
    """All statistics of one cell; images are uint8 (N, 32, 32, 3)."""
    image = corrupted.astype(np.float64)
    residual = image - clean
    rmse = np.sqrt((residual**2).mean((1, 2, 3)))
    correlation = np.corrcoef(residual.reshape(-1, 3).T)
    return {
        "rmse_mean": rmse.mean(),
        "rmse_std": rmse.std(),
        "changed": (residual != 0).any(-1).mean(),
        "ch_mean": image.mean((0, 1, 2)),
        "ch_std": image.std((0, 1, 2)),
        "res_mean": residual.mean((0, 1, 2)),
        "res_std": residual.std((0, 1, 2)),
        "res_chcorr": correlation[np.triu_indices(3, 1)].mean(),
        "res_chcorr_per_image": correlation_per_image(residual),
        "lpsd": log_spectrum(image),
        "res_lpsd": log_spectrum(residual),
    }


def correlation_per_image(residual: np.ndarray) -> float:
    """Correlation between channels, the mean over three pairs and the images that have any."""
    own = residual - residual.mean((1, 2), keepdims=True)
    covariance = np.einsum("nhwc,nhwd->ncd", own, own)
    spread = np.sqrt(np.einsum("ncc->nc", covariance))
    changed = spread.min(1) > 0
    correlation = covariance[changed] / (spread[changed, :, None] * spread[changed, None])
    return correlation[(slice(None), *np.triu_indices(3, 1))].mean()


def log_spectrum(images: np.ndarray) -> np.ndarray:
    """Mean over images of log₁₀(ring mean of |FFT|²/1024 + 0.01) of the channel mean, 16 rings."""
    side = images.shape[1]
    frequency = np.fft.fftfreq(side, 1 / side)
    ring = np.rint(np.hypot(frequency[:, None], frequency)).astype(int).ravel()
    power = np.abs(np.fft.fft2(images.mean(-1))) ** 2 / side**2
    power = power.reshape(len(images), -1)
    rings = np.stack([power[:, ring == radius].mean(1) for radius in range(1, side // 2 + 1)], 1)
    return np.log10(rings + 0.01).mean(0)


def deviations(statistics: dict[str, np.ndarray], cell: dict) -> dict[str, float]:
    """Largest distance from the reference's mean over its seeds, in units of its seed-to-seed spread."""
    return {
        key: float(np.abs(statistics[key] - np.array(cell["mean8"][key])).max() / cell["tol"][key])
        for key in cell["tol"]
    }


def is_outside(found: dict[str, float]) -> bool:
    """Whether any statistic of a cell leaves the 4σ band, as about one cell in fifty does by chance."""
    return max(found.values()) > BAND

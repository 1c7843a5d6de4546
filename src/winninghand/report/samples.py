"""Contact sheets: what corrupted images look like."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from winninghand.corruptions import SEVERITIES, corrupt

_GAP = 2


def contact_sheet(images: npt.NDArray[np.uint8], names: Sequence[str], seed: int = 0) -> Image.Image:
    """Return a sheet with one row per corruption: clean, then severities 1 to 5.

    `images` is uint8 (N, H, W, 3); row i shows image i modulo N.
    """
    height, width = images.shape[1:3]
    columns = 1 + len(SEVERITIES)
    sheet = np.full((len(names) * (height + _GAP), columns * (width + _GAP), 3), 255, dtype=np.uint8)
    for row, name in enumerate(names):
        image = images[row % len(images)][None]
        cells = [image, *(corrupt(image, name, severity, seed=seed) for severity in SEVERITIES)]
        for column, cell in enumerate(cells):
            top, left = row * (height + _GAP), column * (width + _GAP)
            sheet[top : top + height, left : left + width] = cell[0]
    return Image.fromarray(sheet)


def data_uri(image: Image.Image, scale: int = 2) -> str:
    """Return the image, its pixels enlarged `scale` times, as the text of a PNG data URI."""
    enlarged = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    enlarged.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

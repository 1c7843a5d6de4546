"""A Fourier heatmap as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from winninghand.base.charts import drawing, in_style

if TYPE_CHECKING:
    import altair

_SIDE = 420


def heatmap_chart(errors: npt.NDArray[np.float64], title: str, caption: str) -> altair.Chart:
    """Return the chart of errors (rows, columns): colour is the error, 0 to 100% so that maps compare.

    The colours are viridis, which people who are colour-blind read as well, and which is even in grey.
    """
    height, width = errors.shape
    cells = [
        {"vertical": row - height // 2, "horizontal": column - width // 2, "error": error}
        for row, line in enumerate(errors.tolist())
        for column, error in enumerate(line)
    ]
    alt = drawing()
    side = max(1, _SIDE // max(height, width))
    chart: altair.Chart = (
        alt.Chart(alt.Data(values=cells))
        .mark_rect()
        .encode(
            **frequency_axes(height, width),
            color=alt.Color("error:Q", title="error")
            .scale(scheme="viridis", domain=[0, 1])
            .legend(format=".0%"),
        )
        # Whole pixels a cell, or seams show between the cells.
        .properties(width=side * width, height=side * height)
    )
    return in_style(chart, title, caption)


def frequency_axes(height: int, width: int, apart: int = 1) -> dict[str, Any]:
    """Return the encodings of a map's two axes, whose fields are `horizontal` and `vertical`.

    Neighbours in the map are `apart` cycles per image.
    """
    alt = drawing()
    return {
        "x": alt.X("horizontal:O", title="horizontal frequency, cycles per image", axis=_axis(width, apart)),
        "y": alt.Y("vertical:O", title="vertical frequency", axis=_axis(height, apart)),
    }


def _axis(length: int, apart: int) -> altair.Axis:
    """Return an axis of frequencies with nine labels or fewer."""
    step = -(-length // 8)
    half = length // 2 // step
    axis: altair.Axis = drawing().Axis(
        values=[apart * step * number for number in range(-half, half + 1)], labelAngle=0
    )
    return axis

"""A Fourier heatmap as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from winninghand.base.errors import InputError, shown
from winninghand.base.files import atomic_write
from winninghand.evaluation import Heatmap
from winninghand.report.charts import drawing, png, svg

if TYPE_CHECKING:
    import altair

_SIDE = 420
_SUFFIXES = (".svg", ".png")


def checked_picture_path(path: Path | str) -> Path:
    """Return a path that a picture can be written to.

    Raises `InputError` for an unknown suffix, and where what is needed to draw is not installed.
    """
    if Path(path).suffix.lower() not in _SUFFIXES:
        raise InputError(f"a heatmap is drawn as .svg or .png, not as {str(path)!r}; rename it")
    drawing()
    return Path(path)


def draw_heatmap(heatmap: Heatmap, title: str, path: Path | str) -> None:
    """Draw the map with zero frequency in the middle, as SVG or PNG by the suffix."""
    suffix = checked_picture_path(path).suffix.lower()
    chart = heatmap_chart(heatmap, title)
    with atomic_write(path) as tmp:
        if suffix == ".svg":
            tmp.write_text(svg(chart), encoding="utf-8")
        else:
            tmp.write_bytes(png(chart))


def heatmap_chart(heatmap: Heatmap, title: str) -> altair.Chart:
    """Return the chart: colour is the error, 0 to 100% so that maps of several models compare."""
    height, width = heatmap.errors.shape
    cells = [
        {"vertical": row - height // 2, "horizontal": column - width // 2, "error": error}
        for row, errors in enumerate(heatmap.errors.tolist())
        for column, error in enumerate(errors)
    ]
    alt = drawing()
    side = max(1, _SIDE // max(height, width))
    chart: altair.Chart = (
        alt.Chart(alt.Data(values=cells), title=shown(title))
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
    return chart


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

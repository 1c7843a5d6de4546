"""The chart of spectra along the frequency, as SVG whose colours the page gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from winninghand.base.html import Markup, html_text

_WIDTH, _HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 10, 34


@dataclass(frozen=True)
class Curve:
    """Values along the frequency, and the style class of their line."""

    name: str
    style: str
    values: Sequence[float]


def chart(curves: Sequence[Curve], title: str) -> Markup:
    """Return a line chart of log amplitudes, natural logarithms, from coarse to fine; `title` is its text."""
    values = [value for curve in curves for value in curve.values]
    low, high = min(values), max(values)
    span = max(high - low, 1e-6)
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def across(step: int, count: int) -> float:
        return _LEFT + inner_width * step / max(1, count - 1)

    def up(value: float) -> float:
        return _TOP + inner_height * (high - value) / span

    parts = []
    for level in range(int(-(-low // 1)), int(high // 1) + 1):
        y = up(level)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if level % 2 == 0:
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_signed(level)}</text>')
    for curve in curves:
        points = " ".join(
            f"{across(step, len(curve.values)):.1f},{up(value):.1f}"
            for step, value in enumerate(curve.values)
        )
        parts.append(f'<polyline class="{curve.style}" points="{points}"/>')
    below, right = _HEIGHT - 10, _WIDTH - _RIGHT
    parts.append(f'<text x="{_LEFT}" y="{below}">coarse</text>')
    parts.append(f'<text x="{right}" y="{below}" text-anchor="end">fine</text>')
    parts.append(
        f'<text x="{_LEFT + inner_width / 2}" y="{below}" text-anchor="middle">spatial frequency</text>'
    )
    parts.append(f'<text x="{right}" y="{_TOP + 10}" text-anchor="end">log amplitude</text>')
    label = html_text(title)
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def legend(curves: Sequence[Curve]) -> Markup:
    """Return what each line is, as HTML."""
    keys = (
        f'<li><svg viewBox="0 0 26 8" aria-hidden="true"><line class="{curve.style}" x1="0" x2="26" y1="4" '
        f'y2="4"/></svg>{html_text(curve.name)}</li>'
        for curve in curves
    )
    return Markup(f'<ul class="wh-legend">{"".join(keys)}</ul>')


def _signed(number: int) -> str:
    return f"\N{MINUS SIGN}{-number}" if number < 0 else str(number)

"""Room for the texts of an SVG, whatever font shows them, and colours for dark ground."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.etree import ElementTree

# What a letter takes of its font's size in DejaVu Sans, the widest of the usual fonts without serifs.
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[]/ "), frozenset("mwMWQO%—…@")
_SHARES = {"narrow": 0.42, "wide": 1.0, "usual": 0.69}
_BOLD = 1.12
_MARGIN = 4
_STEP = re.compile(r"(translate|rotate|scale)\(([^)]*)\)")
_SIZE = re.compile(r'<svg [^>]*?\bwidth="([\d.]+)" height="([\d.]+)" viewBox="[^"]*">')
_GROUND = re.compile(r'<rect width="[\d.]+" height="[\d.]+" fill="([^"]*)"/>')
_TEXT = "{http://www.w3.org/2000/svg}text"


class Box(NamedTuple):
    """The box of a text, in the units of its SVG."""

    left: float
    top: float
    right: float
    bottom: float


class _Place(NamedTuple):
    """Where a group's own origin lies: (x, y) is carried to (a x + c y + e, b x + d y + f)."""

    a: float = 1
    b: float = 0
    c: float = 0
    d: float = 1
    e: float = 0
    f: float = 0

    def moved(self, transform: str) -> _Place:
        """Return the place after the steps of a `transform`."""
        place = self
        for kind, text in _STEP.findall(transform):
            numbers = [float(one) for one in re.split(r"[ ,]+", text.strip())]
            if kind == "translate":
                other = _Place(e=numbers[0], f=(*numbers, 0)[1])
            elif kind == "scale":
                other = _Place(a=numbers[0], d=numbers[-1])
            else:
                cosine, sine = math.cos(math.radians(numbers[0])), math.sin(math.radians(numbers[0]))
                other = _Place(cosine, sine, -sine, cosine)
            place = place.after(other)
        return place

    def after(self, other: _Place) -> _Place:
        """Return the place of what stands at another place within this one."""
        return _Place(
            self.a * other.a + self.c * other.b,
            self.b * other.a + self.d * other.b,
            self.a * other.c + self.c * other.d,
            self.b * other.c + self.d * other.d,
            self.a * other.e + self.c * other.f + self.e,
            self.b * other.e + self.d * other.f + self.f,
        )

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies."""
        return self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f


def widest(text: str, size: float, is_bold: bool = False) -> float:
    """Return how wide a text may become in a font of a size, in the size's unit."""
    ems = 0.0
    for letter in text:
        if unicodedata.east_asian_width(letter) in "WF":
            ems += 1.05
        else:
            ems += _SHARES["narrow" if letter in _NARROW else "wide" if letter in _WIDE else "usual"]
    return size * ems * (_BOLD if is_bold else 1)


def text_boxes(svg: str) -> Iterator[Box]:
    """Yield the box that each visible text may take."""
    # The text was written by this library's own tools a moment ago.
    yield from _boxes(ElementTree.fromstring(svg), _Place())


def _boxes(element: ElementTree.Element, place: _Place) -> Iterator[Box]:
    place = place.moved(element.get("transform", ""))
    if element.get("opacity") == "0":
        return
    if element.tag == _TEXT:
        size = float(element.get("font-size", "11px").removesuffix("px"))
        is_bold = element.get("font-weight") in ("bold", "600", "700")
        lines = [text for text in element.itertext() if text.strip()]
        width = max((widest(text, size, is_bold) for text in lines), default=0.0)
        left = {"end": -width, "middle": -width / 2}.get(element.get("text-anchor", "start"), 0.0)
        x, y = float(element.get("x", 0)), float(element.get("y", 0))
        height = size * 1.25 * max(len(lines) - 1, 0)
        corners = [
            place.point(x + across, y + down)
            for across in (left, left + width)
            for down in (-size, height + 0.3 * size)
        ]
        xs, ys = zip(*corners, strict=True)
        yield Box(min(xs), min(ys), max(xs), max(ys))
        return
    for child in element:
        yield from _boxes(child, place)


def with_room(svg: str) -> str:
    """Return an SVG with room for its texts also where a wider font than was measured shows them."""
    found = _SIZE.search(svg)
    if found is None:
        return svg
    width, height = map(float, found.groups())
    boxes = list(text_boxes(svg))
    left = math.floor(min([0.0, *(box.left - _MARGIN for box in boxes)]))
    top = math.floor(min([0.0, *(box.top - _MARGIN for box in boxes)]))
    right = math.ceil(max([width, *(box.right + _MARGIN for box in boxes)]))
    bottom = math.ceil(max([height, *(box.bottom + _MARGIN for box in boxes)]))
    size = f'width="{right - left}" height="{bottom - top}"'
    head = found[0][: found.start(1) - found.start() - len('width="')]
    ground = _GROUND.search(svg)
    svg = svg.replace(found[0], f'{head}{size} viewBox="{left} {top} {right - left} {bottom - top}">', 1)
    if ground is None:
        return svg
    return svg.replace(ground[0], f'<rect x="{left}" y="{top}" {size} fill="{ground[1]}"/>', 1)


def with_dark_form(svg: str, light: Mapping[str, str], dark: Mapping[str, str]) -> str:
    """Return an SVG whose colours are the dark ones where a screen asks for dark; others see the light ones.

    The colours stay attributes, so that programs that know no style sheets, and paper, show the light form.
    """
    pairs = {light[name]: dark[name] for name in light if light[name] in svg}
    rules = [
        f'[{attribute}="{one}"]{{{attribute}:{other}}}'
        for one, other in pairs.items()
        for attribute in ("fill", "stroke")
        if f'{attribute}="{one}"' in svg
    ]
    style = f"<style>@media screen and (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
    head = svg.index(">") + 1
    return svg[:head] + style + svg[head:] if rules else svg

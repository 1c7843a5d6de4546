"""How every chart and page looks: one font, two sets of colours, and shapes and dashes beside the colours.

The eight colours of series follow those of Okabe and Ito (2008, "Color Universal Design"): blue, vermillion,
bluish green, reddish purple, ochre for yellow, sky blue, violet for orange, and black, which is white on dark
ground. They are darkened on light ground and lightened on dark ground: each has a contrast of 3 to 1 or more
against it (WCAG 2.2, 1.4.11), and any two are 17 or more apart in CIELAB, as people see them and as they are
seen under protanopia and deuteranopia (by the matrices of Machado et al. 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# Charts are measured by Liberation Sans, which is as wide as Arial and Helvetica, letter by letter.
FONT = "Arial, Helvetica, 'Liberation Sans', Arimo, sans-serif"

LIGHT = {
    "paper": "#ffffff",
    "raised": "#f6f6f3",
    "ink": "#1c1d1f",
    "muted": "#5c6066",
    "line": "#dcdcd8",
    "accent": "#0a5f95",
    "c0": "#0f3b78",
    "c1": "#d86100",
    "c2": "#00875f",
    "c3": "#b0468a",
    "c4": "#735200",
    "c5": "#3f93cf",
    "c6": "#6f49b2",
    "c7": "#33363a",
    "dense": "#55585c",
    "deck": "#a3163a",
    "front": "#8b8f94",
    "e0": "#8b8f94",
    "e1": "#0072b2",
    "e2": "#d55e00",
    "holds": "#00805c",
    "fails": "#c4420a",
    "undecided": "#6f747a",
}
DARK = {
    "paper": "#15171a",
    "raised": "#1e2125",
    "ink": "#e8e8e5",
    "muted": "#a3a8ae",
    "line": "#34383d",
    "accent": "#7cc0f0",
    "c0": "#57b6f8",
    "c1": "#ec7d46",
    "c2": "#3ccb9b",
    "c3": "#e58cc0",
    "c4": "#e0c84a",
    "c5": "#a5d6f7",
    "c6": "#a777c2",
    "c7": "#f4f4f2",
    "dense": "#c0c4c8",
    "deck": "#ff7f92",
    "front": "#8b9198",
    "e0": "#9aa0a6",
    "e1": "#5ab4f0",
    "e2": "#ff8a4c",
    "holds": "#3ccb9b",
    "fails": "#ff8a4c",
    "undecided": "#a3a8ae",
}
"""Colours by their use, on light and on dark ground; `c0` to `c7` are those of series."""

COLOURS = 8
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")
DASHES = ([1, 0], [7, 3], [2, 2], [8, 3, 2, 3], [4, 2])


class Look(NamedTuple):
    """What a series is told apart by; `colour` names one of the colours above, `dash` is in pixels."""

    colour: str
    shape: str
    dash: list[int]


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a look for each series: colours, shapes and dashes in turn, so that 24 differ without dashes."""
    return {
        name: Look(
            f"c{place % COLOURS}",
            SHAPES[place % len(SHAPES)],
            list(DASHES[place % len(DASHES)]),
        )
        for place, name in enumerate(dict.fromkeys(names))
    }


def coloured(style: str, prefix: str = "") -> str:
    """Return a style sheet with the colours as variables, in place of `/*light*/` and of `/*dark*/`.

    `prefix` begins the variables' names, where a page has others of its own.
    """
    for place, colours in (("/*light*/", LIGHT), ("/*dark*/", DARK)):
        variables = " ".join(f"--{prefix}{name}: {value};" for name, value in colours.items())
        style = style.replace(place, variables)
    return style


def as_variables() -> dict[str, str]:
    """Return for each colour the variable of a style sheet that holds it."""
    return {name: f"var(--{name})" for name in LIGHT}


def vega_config(colours: Mapping[str, str], font: str = FONT, ground: str | None = None) -> dict[str, Any]:
    """Return Vega-Lite's configuration of the style in these colours, on a ground of `paper` or another."""
    inks = {"labelColor": colours["muted"], "titleColor": colours["muted"]}
    # A limit of 0 is none: nothing that is written is cut short.
    texts = {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 0}
    return {
        "background": colours["paper"] if ground is None else ground,
        "font": font,
        "padding": 8,
        "view": {"stroke": None},
        "axis": {
            **texts,
            **inks,
            "gridColor": colours["line"],
            "domainColor": colours["line"],
            "tickColor": colours["line"],
            "titlePadding": 8,
            "labelSeparation": 6,
            "titleLimit": 0,
        },
        "legend": {**texts, **inks, "titleLimit": 0, "symbolLimit": 0, "symbolSize": 70},
        "header": {
            "labelColor": colours["ink"],
            "labelFontSize": 12,
            "labelFontWeight": "bold",
            "labelLimit": 320,
        },
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": colours["ink"],
            "fontSize": 14,
            "fontWeight": "bold",
            "subtitleColor": colours["muted"],
            "subtitleFontSize": 11,
            "subtitlePadding": 4,
            "limit": 0,
            "offset": 12,
        },
        "text": {"color": colours["ink"]},
    }

"""The report's charts as Vega-Lite; the page's script gives them their rows and their width.

Colours are variables of the page's style sheet, so that they follow its light, dark and printed forms. What
the script is to do with a chart stands in its `usermeta`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from winninghand.base.chart_style import SHAPES
from winninghand.base.chart_style import looks as looks_of
from winninghand.base.charts import drawing
from winninghand.evaluation.heatmap_chart import frequency_axes

if TYPE_CHECKING:
    import altair

Spec = dict[str, Any]

_DENSE, _DECK = "dense", "deck"


def looks(series: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a shape for each series; together they tell many apart, also without colours."""
    own = {_DENSE: ("var(--dense)", "square"), _DECK: ("var(--deck)", "diamond")}
    others = [name for name in series if name not in own]
    return own | {name: (f"var(--{look.colour})", look.shape) for name, look in looks_of(others).items()}


def by_sparsity(
    key: str, title: str, series: Sequence[str], sparsities: Sequence[float], panels: Sequence[str]
) -> Spec:
    """Return accuracy against sparsity: a panel for each domain, network and protocol, a line per series."""
    alt = drawing()
    x = alt.X("x:Q", title="sparsity of prunable weights").scale(
        type="log", reverse=True, nice=False, padding=14
    )
    kept = sorted({_kept(one) for one in sparsities})
    x = x.axis(values=kept, labelExpr="format(1 - datum.value, '.4~p')", labelOverlap="greedy", grid=False)
    y = alt.Y(f"{key}:Q", title=title).scale(zero=False).axis(format=".0%", tickCount=5)
    base = alt.Chart().encode(x=x, y=y, **_looks(series, shape=False))
    # Fields of their own instead of filters: a row has those of its role alone.
    whole = base.mark_rule(strokeDash=[3, 3], opacity=0.7)
    whole = whole.encode(y=f"{key}_dense:Q", x=alt.value(0), x2=alt.value("width"))
    bars = base.mark_rule(strokeWidth=1.5, opacity=0.75).encode(y=f"{key}_low:Q", y2=f"{key}_high:Q")
    lines = base.mark_line(strokeWidth=2).encode(detail="role:N")
    points = base.encode(**_looks(series))
    seeds = points.mark_point(size=20, opacity=0.7, filled=False, strokeWidth=1).encode(y=f"{key}_seed:Q")
    dots = points.mark_point(size=56, filled=True, opacity=1).encode(tooltip=_tooltip(key, title))
    chart = alt.layer(whole, bars, lines, seeds, dots, data=alt.Data(name="rows"))
    chart = chart.facet(facet=alt.Facet("panel:N", title=None, sort=list(panels)), columns=2)
    return _spec(chart, layout="panels", seeds=key, legend=True)


def place_x(sparsity: float, place: float, places: int) -> float:
    """Return where a sparsity stands on the axis: by the weights that are kept, series a little apart."""
    return _kept(sparsity) * float(1.035 ** (place - (places - 1) / 2))


def _kept(sparsity: float) -> float:
    return max(1 - sparsity, 1e-4)


def corruption_map(
    names: Mapping[str, str], labels: Sequence[str], title: str, difference: bool = False
) -> Spec:
    """Return accuracy by card and corruption, `names` of which are by the key of their values.

    As a `difference` blue is better than what is compared with, and orange worse.
    """
    alt = drawing()
    scale = (
        alt.Scale(scheme="blueorange", reverse=True, domainMid=0)
        if difference
        else alt.Scale(scheme="viridis")
    )
    shown_as = "datum.value * 100"
    base = alt.Chart(alt.Data(name="rows")).encode(
        x=alt.X("corruption:N", title=None, sort=list(names.values())).axis(
            labelAngle=-45, ticks=False, domain=False, labelExpr="replace(datum.label, /_/g, ' ')"
        ),
        y=alt.Y("label:N", title=None, sort=list(labels)).axis(
            ticks=False, domain=False, labelLimit=260, labelPadding=6
        ),
    )
    cells = base.mark_rect().encode(
        color=alt.Color("value:Q", title=title)
        .scale(scale)
        .legend(
            orient="top",
            labelExpr="format(datum.value * 100, '+.0f')" if difference else "format(datum.value, '.0%')",
            tickCount=3,
            gradientLength=220,
            gradientThickness=10,
            labelOverlap=True,
            titleLimit=320,
        ),
        tooltip=[
            alt.Tooltip("label:N", title="card"),
            "corruption:N",
            alt.Tooltip("value:Q", title=title, format="+.2%" if difference else ".2%"),
        ],
    )
    text = f"abs({shown_as}) < 0.05 ? '0.0' : format({shown_as}, '+.1f')"
    numbers = (
        base.transform_calculate(text=text if difference else f"format({shown_as}, '.0f')")
        .mark_text(fontSize=11)
        .encode(text="text:N", color=alt.Color("ink:N", scale=None))
    )
    keys = [[key, name] for key, name in names.items()]
    chart = (cells + numbers).resolve_scale(color="independent")
    return _spec(chart, layout="grid", melt=keys, difference=difference)


def pareto(key: str, title: str, series: Sequence[str], form: str) -> Spec:
    """Return robust accuracy against what a card costs, and the Pareto front."""
    alt = drawing()
    x = alt.X(f"{key}:Q", title=title).scale(type="log", nice=False, padding=18)
    x = x.axis(format=form, labelOverlap="greedy", labelSeparation=8, grid=False)
    y = alt.Y("robust:Q", title="robust accuracy").scale(zero=False).axis(format=".0%", tickCount=6)
    base = alt.Chart(alt.Data(name="rows")).encode(x=x, y=y)
    front = base.transform_filter(alt.datum.front).mark_line(
        interpolate="step-after", color="var(--front)", strokeWidth=1.5, strokeDash=[5, 3]
    )
    bars = base.mark_rule(strokeWidth=1.2, opacity=0.6).encode(
        y=alt.Y("robust_low:Q", title="robust accuracy"), y2="robust_high:Q", **_looks(series, shape=False)
    )
    dots = base.mark_point(filled=True, opacity=1, size=70).encode(
        **_looks(series),
        tooltip=[*_tooltip("robust", "robust accuracy"), alt.Tooltip(f"{key}:Q", title=title, format=",")],
    )
    named = [
        base.transform_filter(f"datum.named && {'' if is_left else '!'}datum.left")
        .mark_text(align="left" if is_left else "right", dx=9 if is_left else -9, dy=-9, fontSize=11)
        .encode(text="label:N", color=alt.value("var(--ink)"))
        for is_left in (True, False)
    ]
    return _spec(alt.layer(front, bars, dots, *named), layout="wide", front=key, legend=True)


def dumbbells(ends: Mapping[str, str], y: str, x_title: str, form: str) -> Spec:
    """Return a row for each card or deck, with marks at some values; `ends` name these by their keys."""
    alt = drawing()
    base = alt.Chart(alt.Data(name="rows")).encode(
        y=alt.Y(f"{y}:N", title=None, sort=None).axis(ticks=False, domain=False, labelLimit=240)
    )
    first, *_, last = ends
    bars = base.mark_rule(strokeWidth=3, color="var(--line)").encode(x=f"{first}:Q", x2=f"{last}:Q")
    melted = base.transform_fold(list(ends), as_=["end", "value"])
    names = "{" + ", ".join(f"'{key}': '{name}'" for key, name in ends.items()) + "}"
    marks = (
        melted.transform_calculate(what=f"{names}[datum.end]")
        .mark_point(filled=True, size=80, opacity=1)
        .encode(
            x=alt.X("value:Q", title=x_title).scale(zero=False, padding=12).axis(format=form, tickCount=5),
            color=alt.Color("what:N", title=None)
            .scale(domain=list(ends.values()), range=[f"var(--e{place})" for place in range(len(ends))])
            .legend(None),
            shape=alt.Shape("what:N", title=None)
            .scale(domain=list(ends.values()), range=list(SHAPES[: len(ends)]))
            .legend(None),
            tooltip=[f"{y}:N", alt.Tooltip("what:N", title=" "), alt.Tooltip("value:Q", format=".2%")],
        )
    )
    marked = [[name, f"var(--e{place})", SHAPES[place]] for place, name in enumerate(ends.values())]
    return _spec(alt.layer(bars, marks), layout="rows", legend=marked)


def effects() -> Spec:
    """Return each claim's effect with its interval, coloured by the verdict."""
    alt = drawing()
    base = alt.Chart(alt.Data(name="rows")).encode(
        y=alt.Y("label:N", title=None, sort=None).axis(ticks=False, domain=False, labelLimit=240),
        color=alt.Color("verdict:N", title=None)
        .scale(domain=list(VERDICTS), range=[f"var(--{name})" for name in VERDICTS])
        .legend(None),
    )
    zero = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(color="var(--muted)", strokeDash=[3, 3])
    x = alt.X("low:Q", title="effect, in points").axis(
        labelExpr="format(datum.value * 100, '+')", tickCount=6
    )
    bars = base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q")
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(
        x="effect:Q",
        shape=alt.Shape("verdict:N").scale(domain=list(VERDICTS), range=list(SHAPES[:3])).legend(None),
        tooltip=["label:N", "verdict:N", alt.Tooltip("effect:Q", format="+.2%")],
    )
    marked = [[name, f"var(--{name})", SHAPES[place]] for place, name in enumerate(VERDICTS)]
    return _spec(alt.layer(zero.encode(x="x:Q"), bars, dots), layout="rows", legend=marked, drawn="low")


VERDICTS = ("holds", "fails", "undecided")


def frequency_maps(height: int, width: int, apart: int, labels: Sequence[str]) -> Spec:
    """Return error by spatial frequency, a panel for each card; all maps have the same scale."""
    alt = drawing()
    chart = (
        alt.Chart(alt.Data(name="rows"))
        .mark_rect()
        .encode(
            **frequency_axes(height, width, apart),
            color=alt.Color("error:Q", title="error")
            .scale(scheme="viridis")
            .legend(orient="top", format=".0%", gradientLength=220, gradientThickness=10),
        )
        .facet(facet=alt.Facet("label:N", title=None, sort=list(labels)), columns=2)
    )
    return _spec(chart, layout="maps", cells=[height, width], apart=apart)


def _looks(series: Sequence[str], shape: bool = True) -> dict[str, Any]:
    """Return the encodings of colour, and shape, by series; the page draws the legend."""
    alt, look = drawing(), looks(series)
    names = [name for name in (*series, _DENSE, _DECK) if name in look]
    names = list(dict.fromkeys(names))
    found = {
        "color": alt.Color("series:N", legend=None).scale(
            domain=names, range=[look[name][0] for name in names]
        )
    }
    if shape:
        found["shape"] = alt.Shape("series:N", legend=None).scale(
            domain=names, range=[look[name][1] for name in names]
        )
    return found


def _tooltip(key: str, title: str) -> list[altair.Tooltip]:
    alt = drawing()
    return [
        alt.Tooltip("label:N", title="card"),
        alt.Tooltip(f"{key}:Q", title=title, format=".2%"),
        alt.Tooltip(f"{key}_low:Q", title="interval from", format=".2%"),
        alt.Tooltip(f"{key}_high:Q", title="interval to", format=".2%"),
        alt.Tooltip("seeds:Q", title="seeds"),
    ]


def _spec(chart: altair.TopLevelMixin, **usermeta: object) -> Spec:
    spec: Spec = chart.to_dict()
    for key in ("config", "datasets"):
        spec.pop(key, None)
    return {**spec, "usermeta": usermeta}

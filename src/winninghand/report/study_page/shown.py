"""A study's cards as the report draws them: means over seeds and single seeds, named briefly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from winninghand.evaluation import Interval
from winninghand.evaluation.table import Values, bootstrap
from winninghand.report.aggregation import Group, Spread, groups
from winninghand.report.study_page.figure import MEAN
from winninghand.results import RunResult

_PLACED = ("seed", "domain", "network", "protocol", "compression.method", "compression.sparsity")
"""Keys of a choice that a card's place says already."""


@dataclass(frozen=True)
class Place:
    """Where a card stands in a study; `series` is its method, and what tells it from others of the method.

    A training of one phase has no protocol: it is the same under all of them.
    """

    method: str
    domain: str
    network: str
    protocol: str | None
    sparsity: float
    series: str
    label: str


@dataclass(frozen=True)
class Shown:
    """Runs that differ in their seed only, or one of them: its seed, or `MEAN`."""

    place: Place
    seed: str
    runs: tuple[RunResult, ...]

    def row(self, **values: Any) -> dict[str, Any]:  # noqa: ANN401 (plain values of many kinds)
        """Return a row of a figure."""
        return {**vars(self.place), "seed": self.seed, "seeds": len(self.runs), **values}

    def accuracy(self, kind: str) -> dict[str, float | None]:
        """Return the mean `clean` or `robust` accuracy, spread over seeds and interval over images."""
        return self._clean if kind == "clean" else self._robust

    @cached_property
    def _clean(self) -> dict[str, float | None]:
        return self._accuracy("clean")

    @cached_property
    def _robust(self) -> dict[str, float | None]:
        return self._accuracy("robust")

    def _accuracy(self, kind: str) -> dict[str, float | None]:
        runs = self.runs
        if kind == "robust" and not all(run.cells for run in runs):
            return {}
        found = Spread.of([getattr(run, f"{kind}_accuracy") for run in runs])
        answers = [run.clean.correct if kind == "clean" else run.robust_correct for run in runs]
        within = interval_of(answers)
        return {
            kind: None if found is None else found.mean,
            f"{kind}_std": None if found is None else found.std,
            f"{kind}_low": None if within is None else within.low,
            f"{kind}_high": None if within is None else within.high,
        }


def interval_of(answers: Sequence[Values]) -> Interval | None:
    """Return the interval over images of the mean over runs; None where these are of different images."""
    if len({len(one) for one in answers}) != 1:
        return None
    return bootstrap(np.mean([np.asarray(one, np.float64) for one in answers], axis=0))


def shown_cards(runs: Sequence[RunResult]) -> list[Shown]:
    """Return each group of runs, and then its runs one by one."""
    found = groups(runs)
    places = _places(found)
    cards = []
    for group, place in zip(found, places, strict=True):
        cards.append(Shown(place, MEAN, group.runs))
        cards += [Shown(place, str(run.about.seed), (run,)) for run in group.runs]
    return cards


def _places(found: Sequence[Group]) -> list[Place]:
    """Return the place of each group; what else was chosen is said where two would have the same."""
    networks = network_names(group.runs[0] for group in found)
    plain = [_plain(group.runs[0], networks) for group in found]
    several = {key: len({place[key] for place in plain}) > 1 for key in ("domain", "network", "protocol")}
    alike = Counter(tuple(place.values()) for place in plain)
    varied = {place["method"] for place in plain if alike[tuple(place.values())] > 1}
    peers: dict[str, list[Group]] = {}
    for place, group in zip(plain, found, strict=True):
        peers.setdefault(place["method"], []).append(group)
    places = []
    for place, group in zip(plain, found, strict=True):
        extra = _differing(group, peers[place["method"]]) if place["method"] in varied else ""
        series = " ".join(part for part in (place["method"], extra) if part)
        sparsity = "" if place["method"] == "dense" else f"{100 * place['sparsity']:.4g}%"
        names = [place[key] for key, many in several.items() if many and place[key]]
        label = " · ".join([" ".join(part for part in (series, sparsity) if part), *names])
        places.append(Place(**place, series=series, label=label))
    return places


def _plain(run: RunResult, networks: dict[str, str]) -> dict[str, Any]:
    about = run.about
    return {
        "method": about.method or "unknown",
        "domain": about.domain or "unknown",
        "network": networks[run.name],
        "protocol": about.protocol,
        "sparsity": about.sparsity or 0.0,
    }


def _differing(group: Group, peers: Sequence[Group]) -> str:
    """Return what was chosen for a group and differently for some of its peers."""
    parts = []
    for key in dict.fromkeys(key for peer in peers for key in peer.choice):
        if key in _PLACED or key.startswith("network.") or len({peer.choice.get(key) for peer in peers}) == 1:
            continue
        if key in group.choice:
            parts.append(f"{key.rpartition('.')[2]} {group.choice[key]}")
    return ", ".join(parts)


def network_names(runs: Iterable[RunResult]) -> dict[str, str]:
    """Return a name of each run's network, with its settings where the name alone is not enough."""
    tables = {run.name: (run.about.recipe or {}).get("network") or {} for run in runs}
    values: dict[tuple[str, str], set[str]] = {}
    for table in tables.values():
        for key, value in table.items():
            values.setdefault((str(table.get("name")), key), set()).add(str(value))
    return {run: _network_name(table, values) for run, table in tables.items()}


def _network_name(table: Mapping[str, Any], values: Mapping[tuple[str, str], set[str]]) -> str:
    name = str(table.get("name", ""))
    settings = [f"{key} {value}" for key, value in table.items() if len(values[name, key]) > 1]
    return " ".join([name, *settings])

"""Claims held against a study's runs: each comparison is tested, then the claim, then all claims together."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from winninghand.results.claims import CLAIMS
from winninghand.results.claims.claim import Claim
from winninghand.results.claims.comparison import Comparison, Missing
from winninghand.results.claims.groups import Groups
from winninghand.results.claims.statistics import LEVEL, Effect, holm
from winninghand.results.runs import RunResult

UNSTATED = "unstated"
"""The protocol of a study that names none."""

Verdict = Literal["holds", "fails", "undecided"]


def judged(
    runs: Iterable[RunResult],
    planned: Iterable[Mapping[str, Any]] = (),
    ended: Mapping[str, str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one row per protocol and claim, all claims of a protocol corrected together (Holm 1979).

    `runs` are those of one study, measured on the same images and cells. `planned` are all that it asks for,
    each with `run` and `choice`, then its decks, which have `cards`, too. `ended` says in a few words what
    became of some that have no figures.
    """
    runs, lacking = tuple(runs), Lacking.of(runs, planned, ended or {})
    found = {name for run in runs for name in (run.about.protocol, *(run.about.dense_epochs or ())) if name}
    for protocol in sorted(found) or [UNSTATED]:
        groups = Groups.of(runs, protocol)
        family = [Judged.of(kind(), groups, lacking) for kind in CLAIMS.usable().values()]
        tested = [one for one in family if one.p is not None]
        corrected = dict(zip(map(id, tested), holm([one.p or 0.0 for one in tested]), strict=True))
        for one in family:
            yield {"protocol": protocol, **one.row(corrected.get(id(one)))}


@dataclass(frozen=True)
class Tested:
    """A comparison and what came out."""

    comparison: Comparison
    effect: Effect

    @property
    def is_exact(self) -> bool:
        """Whether there is nothing to test."""
        return self.comparison.exact

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the effect; of exact differences their least and largest."""
        if self.is_exact:
            values = self.comparison.differences
            return float(values.min()), float(values.max())
        return self.effect.interval()

    @property
    def beyond(self) -> float:
        """How far the effect lies on the claimed side of the value."""
        value = self.comparison.value
        return {
            "above": self.effect.mean - value,
            "below": value - self.effect.mean,
            "apart": abs(self.effect.mean) - value,
        }[self.comparison.side]

    @property
    def distance(self) -> float:
        """The same in half-widths of its interval, 0 where that is infinite.

        Of exact differences in parts of the value, as there is no doubt to measure by.
        """
        width = abs(self.comparison.value) if self.is_exact else (self.interval[1] - self.interval[0]) / 2
        beyond = self.beyond
        return beyond / width if width else math.copysign(math.inf, beyond) if beyond else 0.0

    @cached_property
    def p_for(self) -> float | None:
        """The p-value against "not as claimed"; None where there is no test."""
        if self.is_exact or self.effect.seeds_variance is None:
            return None
        if self.comparison.side == "apart":
            return self.effect.p_value(0.0)
        return self.effect.p_value(self.comparison.value) if self.distance > 0 else 1.0

    @cached_property
    def p_against(self) -> float | None:
        """The p-value against "as claimed"; None where there is no test."""
        if self.is_exact or self.effect.seeds_variance is None:
            return None
        value = self.comparison.value
        if self.comparison.side == "apart":
            # Two one-sided tests: surely above -value, and surely below it (Schuirmann 1987).
            if abs(self.effect.mean) >= value:
                return 1.0
            return max((self.effect.p_value(bound) or 1.0) / 2 for bound in (-value, value))
        return self.effect.p_value(value) if self.distance < 0 else 1.0

    @property
    def verdict(self) -> Verdict:
        """What the comparison says by itself."""
        if self.is_exact:
            low, high = self.interval
            value = self.comparison.value
            return "holds" if (low > value if self.comparison.side == "above" else high < value) else "fails"
        return _verdict(self.p_for, self.p_against)

    def figures(self) -> dict[str, float | None]:
        """Return the effect and its interval, None where there is none."""
        low, high = (bound if math.isfinite(bound) else None for bound in self.interval)
        return {"effect": self.effect.mean, "low": low, "high": high}

    def row(self) -> dict[str, Any]:
        """Return the comparison as plain values."""
        return {
            "comparison": self.comparison.label,
            "expected": self.comparison.expected,
            "runs": list(self.comparison.runs),
            "against": list(self.comparison.against),
            "seeds": self.effect.seeds,
            "images": self.effect.images,
            **self.figures(),
            "p": None if self.p_for is None else min(self.p_for, self.p_against or 1.0),
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Lacking:
    """The planned runs and decks that have no figures yet, or never will, by their choice without its seed.

    A deck's choice is that of its cards, too.
    """

    choices: Mapping[str, str]
    missing: Mapping[str, Sequence[str]]

    @classmethod
    def of(
        cls, runs: Iterable[RunResult], planned: Iterable[Mapping[str, Any]], ended: Mapping[str, str]
    ) -> Lacking:
        """Return what is planned and not among the runs."""
        known = {run.name for run in runs}
        choices: dict[str, str] = {}
        for one in planned:
            cards = [choices.get(card, card) for card in one.get("cards", ())]
            choices[one["run"]] = _without_seed({**one["choice"], "cards": cards})
        missing: dict[str, list[str]] = defaultdict(list)
        for name, choice in choices.items():
            if name not in known:
                missing[choice].append(f"{name}, {ended.get(name, 'which is not finished')}")
        return cls(choices, missing)

    def beside(self, comparison: Comparison) -> Iterator[str]:
        """Yield what is missing of the recipes that are compared."""
        for choice in {self.choices.get(name, "") for name in (*comparison.runs, *comparison.against)}:
            yield from self.missing.get(choice, ())


@dataclass(frozen=True)
class Judged:
    """A claim, its comparisons, and what it lacks."""

    claim: Claim
    comparisons: tuple[Tested, ...]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, claim: Claim, groups: Groups, lacking: Lacking) -> Judged:
        """Make and test the comparisons of a claim."""
        found, missing = [], []
        with CLAIMS.called(claim.name):
            for one in claim.comparisons(groups):
                if isinstance(one, Missing):
                    missing.append(one.what)
                else:
                    missing += sorted(lacking.beside(one))
                    found.append(Tested(one, Effect.of(one.differences)))
        missing += [
            one.comparison.another or f"a second seed of {one.comparison.label}"
            for one in found
            if not one.is_exact and one.effect.seeds_variance is None
        ]
        return cls(claim, tuple(found), tuple(dict.fromkeys(missing)))

    @property
    def p_for(self) -> float | None:
        """The p-value of all comparisons being as claimed: the largest (Berger 1982), if none is missing."""
        known = [one.p_for for one in self.comparisons if one.p_for is not None]
        return max(known) if known and not self.missing else None

    @property
    def p_against(self) -> float | None:
        """The p-value of any being otherwise: the smallest, times their number (Bonferroni)."""
        known = [one.p_against for one in self.comparisons if one.p_against is not None]
        return min(1.0, len(known) * min(known)) if known else None

    @property
    def p(self) -> float | None:
        """The smaller of the two; None where nothing can be tested."""
        known = [one for one in (self.p_for, self.p_against) if one is not None]
        return min(known, default=None)

    def verdict(self, corrected: float | None) -> Verdict:
        """Return the verdict at a corrected p-value."""
        exact = [one.verdict for one in self.comparisons if one.is_exact]
        if "fails" in exact:
            return "fails"
        if self.p is None:
            return "holds" if exact and not self.missing else "undecided"
        if corrected is None or corrected > LEVEL:
            return "undecided"
        return "holds" if self.p == self.p_for else "fails"

    def row(self, corrected: float | None) -> dict[str, Any]:
        """Return the claim as plain values; the effect is that of the comparison that speaks least for it."""
        weakest = min(self.comparisons, key=_support, default=None)
        none = dict.fromkeys(("effect", "low", "high"))
        return {
            "name": self.claim.name,
            "sentence": self.claim.sentence,
            "statistic": self.claim.statistic,
            **(none if weakest is None else weakest.figures()),
            "p": corrected,
            "verdict": self.verdict(corrected),
            "evidence": [one.row() for one in self.comparisons],
            "missing": list(self.missing),
        }


def _support(one: Tested) -> tuple[int, float, float]:
    """Return how much a comparison speaks for its claim; what is counted says all, or nothing.

    Of those without an interval the effect itself decides.
    """
    kind = 1 if not one.is_exact else 2 if one.verdict == "holds" else 0
    return kind, one.distance, one.beyond


def _without_seed(choice: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in choice.items() if key != "seed"}, sort_keys=True)


def _verdict(p_for: float | None, p_against: float | None) -> Verdict:
    if p_for is not None and p_for <= LEVEL:
        return "holds"
    return "fails" if p_against is not None and p_against <= LEVEL else "undecided"

"""A study's runs taken together: what `table.md` and the report show means, spreads and names of."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from winninghand.augmentation import DOMAINS
from winninghand.corruptions import family_of
from winninghand.evaluation import CLEAN
from winninghand.recipe import Recipe
from winninghand.results import RunResult, by_choice


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed only, and what was chosen for them that their method heeds."""

    choice: Mapping[str, str]
    runs: tuple[RunResult, ...]


def groups(runs: Iterable[RunResult]) -> list[Group]:
    """Return the runs in groups, in the order in which they stand."""
    return [
        Group({key: value for key, value in choice if _is_heeded(key, members[0])}, tuple(members))
        for choice, members in by_choice(runs).items()
    ]


@dataclass(frozen=True)
class Spread:
    """A mean over seeds and the standard deviation over them, None of a single one; both fractions."""

    mean: float
    std: float | None

    @classmethod
    def of(cls, known: Sequence[float | None]) -> Spread | None:
        """Return the spread of some values; None where one of them is missing, or there is none."""
        values = [value for value in known if value is not None]
        if not values or len(values) < len(known):
            return None
        return cls(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None)

    def __str__(self) -> str:
        """Return it in percent."""
        spread = "" if self.std is None else f" ± {100 * self.std:.2f}"
        return f"{100 * self.mean:.2f}{spread}"


def corruptions_of(runs: Iterable[RunResult]) -> list[str]:
    """Return all corruptions that any of the runs was measured under, each once."""
    return list(dict.fromkeys(name for run in runs for name in run.corruptions))


def by_family(names: Iterable[str]) -> dict[str, list[str]]:
    """Return corruptions by their families; those that are not installed here are of the family `other`."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(family_of(name), []).append(name)
    return found


def without_overlap(runs: Iterable[RunResult], names: Iterable[str]) -> list[str]:
    """Return the corruptions that no domain of the runs trains on."""
    domains = {run.about.domain for run in runs if run.about.domain is not None}
    trained_on = {name for domain in domains if domain in DOMAINS for name in DOMAINS[domain].overlaps}
    return [name for name in names if not {name, family_of(name)} & trained_on]


def mean_accuracy(run: RunResult, names: Iterable[str]) -> float | None:
    """Return a run's mean accuracy under some corruptions; None where it was measured under none of them."""
    wanted = set(names)
    cells = [(CLEAN, run.clean_accuracy), *((cell.corruption, cell.accuracy) for cell in run.cells)]
    found = [accuracy for name, accuracy in cells if name in wanted]
    return statistics.mean(found) if found else None


def _is_heeded(key: str, run: RunResult) -> bool:
    """Say whether what was chosen under a dotted key of a recipe changes anything about a run."""
    recipe = run.about.recipe
    if recipe is None:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a stored recipe may have old keys
            return Recipe(**recipe).heeds(key)
    except ValueError:  # a method that is not installed here
        return True

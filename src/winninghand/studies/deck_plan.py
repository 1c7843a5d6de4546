"""The `[[decks]]` tables of a study's file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from winninghand.base.deprecation import renamed
from winninghand.base.errors import InputError
from winninghand.base.files import checked_name
from winninghand.studies.sweeps import check_conditions


class DeckPlan(BaseModel):
    """Decks of a study's cards under a fitted gate.

    Each condition of `cards` takes the cards of all runs whose choice meets it, in the order of the
    conditions; without any a deck holds all cards. There is a deck of each seed's cards, or with `seeds` as
    `together` one of all. `settings` are those of the gate. With `domains` it is a deck of one body: of these
    cards the best on validation images, specialized to the domains by all images that it learned from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    name: Annotated[str, AfterValidator(checked_name)]
    cards: tuple[dict[str, Any], ...] = Field(default=(), strict=False)
    seeds: Literal["each", "together"] = "each"
    domains: tuple[str | dict[str, Any], ...] = Field(default=(), strict=False)
    gate: str = "weighted"
    settings: dict[str, Any] = {}

    def check(self, values: Mapping[str, Sequence[Any]]) -> None:
        """Raise `InputError` where a condition names a key, or a value of it, that is not swept over."""
        check_conditions(self.cards, values, f"the deck {self.name!r}")


def check_names(names: Iterable[str]) -> None:
    """Raise `InputError` where two decks have the same name."""
    # In lower case: some file systems do not tell `A.deck` from `a.deck`.
    for name, count in Counter(name.lower() for name in names).items():
        if count > 1:
            raise InputError(f"{count} decks have the name {name!r}; give each its own")


def from_zoo(table: Any) -> Any:  # noqa: ANN401 (checked later)
    """Return a study's table with the decks of its zoo, as 0.1 took them, among those of the study."""
    zoo = table.get("zoo") if isinstance(table, Mapping) else None
    old = zoo.get("decks") if isinstance(zoo, Mapping) else None
    if not isinstance(zoo, Mapping) or not isinstance(old, list | tuple):
        return table
    ours = table.get("decks", ())
    if not old or not all(isinstance(deck, Mapping) for deck in old) or not isinstance(ours, list | tuple):
        return table
    renamed("zoo.decks", 'decks, with seeds = "together"; zoo.decks takes their names')
    moved = [_moved(deck) for deck in old]
    names = [deck.get("name") for deck in old]
    return {**table, "decks": [*ours, *moved], "zoo": {**zoo, "decks": names}}


def _moved(deck: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in deck.items() if key != "choice"}
    choice = deck.get("choice")
    return {**rest, "seeds": "together", **({"cards": [choice]} if choice else {})}

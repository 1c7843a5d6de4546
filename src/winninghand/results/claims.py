"""A claim about the models of a study, and what was found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """What is claimed, what was found, and whether the figure itself, not its interval, reaches it."""

    claim: str
    found: str
    holds: bool

    def row(self) -> list[str]:
        """Return the claim as a row of a table."""
        return [self.claim, self.found, "holds" if self.holds else "fails"]

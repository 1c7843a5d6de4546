"""A model, samples and corruptions: what both pages ask, and get HTML from."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from winninghand.app.panels import complaint, panel
from winninghand.app.playing import Played, play, prepared
from winninghand.app.samples import Samples
from winninghand.base.errors import InputError, checked_whole, spaced
from winninghand.base.html import Markup
from winninghand.cards.player import Player
from winninghand.corruptions import CORRUPTIONS, missing_corruptions

FIRST_CORRUPTION, FIRST_SEVERITY = "gaussian_noise", 3


class Playground:
    """A model, called `name`, with samples to begin with.

    `corruptions` are all that this machine can apply, as pairs of a text for people and a name; `missing`
    are the others, with the reasons. Any number of threads may ask it.
    """

    def __init__(self, player: Player, name: str, samples: Samples) -> None:
        self.player, self.name, self.samples = player, name, samples
        usable = CORRUPTIONS.usable()
        self.missing = missing_corruptions(tuple(usable))
        self.corruptions = [
            (f"{spaced(name)} ({one.family})", name)
            for name, one in usable.items()
            if name not in self.missing
        ]
        # A gate for streams remembers what it saw last, and a request must not see another's picture.
        self._lock = Lock()

    def play(
        self, file: Path | None, name: str, sample: int, corruption: str, severity: int
    ) -> tuple[Played, str | None]:
        """Return the answer to a file's picture, which errors call `name`, and the true class or None.

        Without a file the picture is the sample of that number, from 0. Raises `InputError` for what is no
        picture, no sample, no corruption and no severity from 0 to 5.
        """
        if file is not None:
            picture, truth = prepared(self.player, file, name), None
        else:
            place = checked_whole("the number of a sample", sample, 0, len(self.samples.labels) - 1)
            picture = self.samples.images[place]
            truth = None if self.samples.foreign else self.samples.labels[place]
        with self._lock:
            return play(self.player, picture, corruption, severity), truth

    def answer(self, file: Path | None, name: str, sample: int, corruption: str, severity: int) -> Markup:
        """Return the answer, or what is wrong with the question, as HTML: see `play`."""
        try:
            return panel(self.player, *self.play(file, name, sample, corruption, severity))
        except InputError as error:
            return complaint(str(error))

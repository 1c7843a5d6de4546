"""A deck's gate as C: calls that weigh its cards for one image."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from winninghand.base.errors import InputError
from winninghand.decks import Deck
from winninghand.decks.deck import make_gate
from winninghand.decks.gate import AdaptiveSettings, DomainGate, SpectralScores
from winninghand.decks.gates.average import Average
from winninghand.decks.gates.features import Features, first_convolution
from winninghand.decks.gates.spectral import Spectral
from winninghand.decks.gates.spectral_image import SpectralImage
from winninghand.decks.gates.stream import Stream, StreamSettings
from winninghand.decks.gates.weighted import Weighted, WeightedSettings
from winninghand.engine.program import Affine, Program
from winninghand.exports.c.network import Network
from winninghand.exports.c.tables import Array, Tables, literal
from winninghand.spectra.profile import profile_shape

_KNOWN = (Average, Spectral, SpectralImage, Stream, Weighted, Features)


class Choice:
    """A gate in C: `lines` fill `weights` for the image `rgb`, by way of the buffer.

    `functions` are those of its own that they call.
    """

    def __init__(self, deck: Deck, first: Program, tables: Tables) -> None:
        """`first` is the program of the first card. Raises `InputError` for a gate that C does not know."""
        gate = make_gate(deck.gate, deck.cards, deck.settings)
        if type(gate) not in _KNOWN:
            raise InputError(f"the gate {deck.gate!r} is not known in C; export the deck under another gate")
        if isinstance(gate, Spectral) and not deck.settings.fits:
            raise InputError(
                "a C file compares spectra by log amplitudes and the l2 distance alone; export the deck "
                "under 'spectral' with these defaults"
            )
        self.deck, self.gate, self.tables = deck, gate, tables
        self.functions: list[str] = []
        self.remembers = isinstance(gate, Stream)
        tables.at_least("CARDS", len(deck.cards))
        if isinstance(gate, Average):
            self.lines = ["weigh_equally(weights);"]
        else:
            look = self._features(first) if isinstance(gate, Features) else self._spectrum()
            self.lines = ["float suits[CARDS];", *look, *self._scores(), *self._weights()]

    def _spectrum(self) -> list[str]:
        """Return the calls that leave an image's spectrum in the buffer; it is what is seen."""
        height, width = self.deck.input_size
        columns, grid = width // 2 + 1, profile_shape(self.deck.input_size)
        logs = 2 * height * columns
        rows, along = (self.tables.add("waves", _waves(side)) for side in (height, width))
        place = f"memory + {logs}"
        lines = [f"log_spectrum(rgb, memory, {place}, {height}, {width}, {rows}, {along});"]
        if grid != (height, columns):
            # The lines are no longer needed.
            size = f"{grid[0]}, {grid[1]}"
            lines.append(f"average_to_grid({place}, {height}, {columns}, memory, {size});")
            place = "memory"
        self.tables.at_least("MEMORY", logs + height * columns)
        self.seen = place, math.prod(grid)
        return lines

    def _features(self, first: Program) -> list[str]:
        """Return the calls that leave statistics of the first convolution in the buffer."""
        card = self.deck.cards[0]
        found, start = first_convolution(card), first.steps[0]
        layer = next(first.convolutions, None)
        if (
            found is None
            or layer is None
            or not isinstance(start, Affine)
            or layer.source != start.output
            or not torch.equal(layer.weight, found.weight)
        ):
            raise InputError(
                "the gate 'features' looks at the first convolution, which C has in another form; export the "
                "deck under another gate"
            )
        count = len(layer.weight)
        bias = torch.zeros(count) if found.bias is None else found.bias.detach()
        plain = replace(layer, scales=torch.ones(1, count), biases=bias[None], addend=None, activation=None)
        start = replace(start, scales=start.scales[:1], biases=start.biases[:1])
        network = Network(Program((start, plain), first.shapes, layer.output), "first_stage", self.tables)
        self.functions = [network.text]
        place = f"memory + {network.memory.size}"
        self.tables.at_least("MEMORY", network.memory.size + 2 * count)
        self.seen = place, 2 * count
        plane = math.prod(first.shapes[layer.output][1:])
        return [f"channel_statistics({network.call(0)}, {place}, {count}, {plane});"]

    def _scores(self) -> list[str]:
        assert self.gate.scores is not None
        place, count = self.seen
        slopes = self.tables.add("slopes", self.gate.scores.slope.T.contiguous().numpy())
        offsets = self.tables.add("offsets", self.gate.scores.offset.numpy())
        lines = [f"score_cards({slopes}, {offsets}, {place}, {count}, suits);"]
        if isinstance(self.gate.settings, StreamSettings):
            lines.append(f"average_stream({literal(self.gate.settings.forgetting)}, suits);")
        return lines

    def _weights(self) -> list[str]:
        """Return the calls from scores to weights."""
        settings = self.gate.settings
        assert isinstance(settings, AdaptiveSettings)
        if isinstance(self.gate, DomainGate):
            assert isinstance(self.gate.scores, SpectralScores)
            members = self.gate.scores.domains > 0
            largest = int(members.sum(dim=0).max())
            self.tables.at_least("DOMAINS", members.shape[1])
            domains = self.tables.add("domains", members.int().argmax(dim=1).numpy().astype(np.uint8))
            play = f"play_best_domain({domains}, suits, weights)"
        else:
            assert isinstance(settings, WeightedSettings)
            largest = len(self.deck.cards)
            play = f"play_all({literal(settings.temperature)}, suits, weights)"
        limited = settings.max_active is not None and settings.max_active < largest
        limit = [f"play_at_most({settings.max_active}, suits, weights);"] if limited else []
        if settings.confidence is None:
            return [f"{play};", *limit]
        unknown = [f"if ({play} <= {literal(settings.confidence)})", "    weigh_equally(weights);"]
        return [*unknown, *(["else", *(f"    {line}" for line in limit)] if limit else [])]


def _waves(side: int) -> Array:
    """Return cosines and then sines of one turn in `side` steps, of the orthonormal transform."""
    angles = 2 * np.pi * np.arange(side) / side
    waves: Array = np.concatenate([np.cos(angles), np.sin(angles)]) / np.sqrt(side)
    return waves.astype(np.float32)

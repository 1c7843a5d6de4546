"""Cards and decks whose networks something other than PyTorch runs: they are played like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from winninghand.base.errors import InputError, shown
from winninghand.base.threads import one_thread
from winninghand.cards import Card, check_batch, check_pixels, plausible_sum
from winninghand.cards.answer import Answer
from winninghand.cards.player import adaptation_of
from winninghand.cards.prediction import OneOrMore, Prediction, predict
from winninghand.decks import Deck
from winninghand.decks.deck import make_gate

Runtime = Literal["sparse", "onnxruntime", "torch"]
"""What computes: the engine, ONNX Runtime, or PyTorch itself."""


Floats: TypeAlias = npt.NDArray[np.float32]

# The least probability of which there is a logarithm.
_TINY = np.finfo(np.float32).tiny


Precision = Literal["float32", "int8"]
"""What convolutions multiply."""


class Runner(Protocol):
    """What computes logits of images: of one card, or of any of several that share a body."""

    def run(self, images: Floats, cards: npt.NDArray[np.int64] | None = None) -> Floats:
        """Return logits (N, classes) of images (N, 3, H, W) in [0, 1], C-contiguous.

        `cards` (N,) are the numbers of the cards that they are played on; None where there is one alone.
        """


class Compiled(nn.Module):
    """A card or a deck made ready to be run fast, by `winninghand.compile`.

    It is played as the model itself, by `evaluate`, `predict` and its own call: float images (N, 3, H, W) in
    [0, 1] on the CPU give logits, of a deck log-probabilities (N, classes). It computes with what the
    model's weights were when it was made; it has no parameters, and no gradient flows through it.

    `runtime` says what runs it, `reason` why that is not the engine, or None, `precision` what its
    convolutions multiply, float32 or int8. `cards` are those it was made of. `runners` come with the numbers
    of the cards that each of them runs.
    """

    def __init__(
        self,
        model: Card | Deck,
        runners: Sequence[tuple[Runner, tuple[int, ...]]],
        runtime: Runtime,
        reason: str | None = None,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.runtime: Runtime = runtime
        self.reason = reason
        self.precision: Precision = precision
        self._runners = tuple(runners)
        self._kind: Literal["card", "deck"] = model.kind
        self._cards, self._classes, self._input_size = model.cards, model.classes, model.input_size
        self._gate_name = model.gate
        adaptation = adaptation_of(model)
        if adaptation is not None:
            self.adaptation_prior = adaptation
        # Plain attributes in a list, so that they are no part of its state, and nothing moves them.
        with torch.inference_mode(False):
            self._choosing = [] if isinstance(model, Card) else [_Choosing(model)]
        self.eval()

    @property
    def kind(self) -> Literal["card", "deck"]:
        """What it was made of."""
        return self._kind

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards that it was made of, as they are now."""
        return self._cards

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the outputs."""
        return self._classes

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images that it takes."""
        return self._input_size

    @property
    def gate(self) -> str | None:
        """Name of the gate; None for a card."""
        return self._gate_name

    @property
    def device(self) -> torch.device:
        """Where its images must be: the CPU."""
        return torch.device("cpu")

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, of a deck log-probabilities (N, classes), of float images (N, 3, H, W) in [0, 1].

        Raises `InputError` for images of another type or shape, on another device than the CPU, and for
        pixels that are not finite or far out of range.
        """
        return self.answer(images).outputs

    @torch.no_grad()
    def answer(self, images: Tensor) -> Answer:
        """Return outputs (N, classes) and the weights (N, cards) of a batch: see `forward`."""
        check_batch(images, self._input_size)
        if images.device.type != "cpu":
            raise InputError(
                f"a compiled {self._kind} runs on the CPU; bring the images there from {images.device}, by "
                "images.cpu()"
            )
        plain = images.detach().to(torch.float32).contiguous().resolve_neg()
        # By NumPy, as PyTorch's threads would wait busily on the runner's cores.
        if not plausible_sum(float(plain.numpy().sum()), plain.numel()):
            check_pixels(images)
        if self._choosing:
            return self._choosing[0].answer(plain, self._runners)
        logits = torch.from_numpy(self._runners[0][0].run(plain.numpy()))
        return Answer(logits, logits.new_ones(len(logits), 1))

    def predict(
        self, images: OneOrMore | Sequence[OneOrMore], top: int = 1, batch_size: int = 64
    ) -> list[Prediction]:
        """Return what it says of images of any size, one prediction for each: see `Card.predict`."""
        return predict(self, images, top, batch_size)

    def reset(self) -> None:
        """Begin a new stream of images: forget what the gate remembers of earlier ones."""
        for choosing in self._choosing:
            choosing.gate.reset()

    def save(self, path: Path | str) -> NoReturn:
        """Raise `InputError`: what is compiled belongs to this machine."""
        raise InputError(
            f"cannot save to {path}: a compiled {self._kind} belongs to this machine and process; save the "
            f"{self._kind} that it was made of"
        )

    def train(self, mode: bool = True) -> Compiled:
        """Stay in evaluation mode, the only one there is."""
        return super().train(False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Compiled:
        """Stay on the CPU, in single precision; raise `InputError` where it would move."""
        probe = torch.zeros(1)
        moved = fn(probe)
        if moved.device != probe.device or moved.dtype != probe.dtype:
            raise InputError(
                f"a compiled {self._kind} runs on the CPU in float32; move the {self._kind} it was made of"
            )
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Raise `InputError`: what is compiled is neither copied nor sent to other processes."""
        raise InputError(
            f"a compiled {self._kind} is not pickled or copied; compile the {self._kind} where it is to run"
        )

    def __repr__(self) -> str:
        height, width = self._input_size
        words = [f"{len(self._classes)} classes", f"{height}×{width}", f"run by {self.runtime}"]
        if self._kind == "deck":
            words = [f"{len(self._cards)} cards", f"gate {self._gate_name}", *words]
        return shown(f"Compiled {self._kind}({', '.join(words)})")


class _Choosing:
    """What a compiled deck chooses and mixes by: the gate, and the temperatures, as they were."""

    def __init__(self, deck: Deck) -> None:
        self.gate = make_gate(deck.gate, deck.cards, deck.settings).cpu().eval()
        self._temperatures = deck.temperatures.detach().cpu().numpy().copy()
        self._classes = len(deck.classes)

    def answer(self, images: Tensor, runners: Sequence[tuple[Runner, tuple[int, ...]]]) -> Answer:
        """Return log-probabilities and weights; each card is played on the images it has a weight for."""
        with one_thread():
            weights: Tensor = self.gate(images)
        # By NumPy, which takes a fifth of PyTorch's time for an operation on few numbers.
        shares = weights.numpy()
        mixed = np.zeros((len(images), self._classes), np.float32)
        for runner, numbers in runners:
            places, own = shares[:, numbers].nonzero()
            if not len(places):
                continue
            once = len(places) == len(images) and bool((np.diff(places) == 1).all())
            some = images.numpy() if once else images.numpy()[places]
            logits = runner.run(some, own) if len(numbers) > 1 else runner.run(some)
            played = np.asarray(numbers)[own]
            found = _softmax(logits / self._temperatures[played, None]) * shares[places, played][:, None]
            if once:
                mixed += found
            else:
                np.add.at(mixed, places, found)
        return Answer(torch.from_numpy(np.log(np.maximum(mixed, _TINY))), weights)


def _softmax(logits: Floats) -> Floats:
    powers: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares

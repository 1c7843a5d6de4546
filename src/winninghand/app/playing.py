"""What a model makes of one picture, clean and corrupted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from winninghand.base.device import to_unit
from winninghand.base.errors import InputError, checked_whole
from winninghand.cards.player import Player
from winninghand.corruptions import SEVERITIES, corrupt
from winninghand.images.checks import UInt8Array
from winninghand.images.pictures import Picture, decode, without_remedy
from winninghand.spectra import log_spectra

MOST_SEVERE = SEVERITIES[-1]
_SHOWN = 5

Likeliest = tuple[tuple[str, float], ...]
"""Classes with their probabilities in [0, 1], the likeliest first."""


@dataclass(frozen=True)
class CardSays:
    """What one card says by itself, and its weight in [0, 1]: how much the gate lets it count."""

    weight: float
    likeliest: Likeliest


@dataclass(frozen=True)
class Says:
    """What a model says of one picture.

    `picture` is uint8 (H, W, 3), as the model sees it. `cards` are in the order of the deck; a model that
    is one card has itself as its only one. `spectrum` is the picture's, as of `log_spectra`.
    """

    picture: UInt8Array
    likeliest: Likeliest
    cards: tuple[CardSays, ...]
    spectrum: Tensor


@dataclass(frozen=True)
class Played:
    """What a model says of a picture as it is, and under a corruption; at severity 0 the two are the same."""

    corruption: str
    severity: int
    clean: Says
    corrupted: Says


def play(player: Player, picture: UInt8Array, corruption: str, severity: int, seed: int = 0) -> Played:
    """Return what a model says of a picture, uint8 (H, W, 3) of its input size, clean and corrupted.

    `severity` is 0 to 5, and 0 leaves the picture as it is. The same seed gives the same pixels. A gate sees
    each picture as the first one of a stream. Raises `InputError` for an unknown corruption, one that this
    machine cannot apply, and a severity outside 0 to 5.
    """
    severity = checked_whole("severity", severity, 0, MOST_SEVERE)
    clean = _say(player, picture)
    if severity == 0:
        return Played(corruption, severity, clean, clean)
    return Played(corruption, severity, clean, _say(player, corrupt(picture, corruption, severity, seed)))


def prepared(player: Player, path: Path, name: str) -> UInt8Array:
    """Return a file's picture, uint8 (H, W, 3), brought to the size of a model as for its training.

    Raises `InputError`, which calls the file `name`, where it holds no picture.
    """
    transform = player.cards[0].metadata.preparation.transform if player.cards else "crop"
    found = decode([Picture(name, path)], player.input_size, transform)
    if found.broken:
        raise InputError(f"{without_remedy(str(found.broken[0][1]))}; choose a PNG or JPEG file")
    picture: UInt8Array = found.images[0]
    return picture


@torch.inference_mode()
def _say(player: Player, picture: UInt8Array) -> Says:
    image = to_unit(torch.from_numpy(picture.copy()))[None].to(player.device)
    player.reset()
    answer = player.answer(image)
    if not bool(answer.outputs.isfinite().all()):
        raise InputError("the model gives no probabilities, but NaN; its weights or statistics are damaged")
    temperatures = getattr(player, "temperatures", None)
    cards = []
    for number, card in enumerate(player.cards):
        outputs = card.answer(image).outputs
        divisor = 1.0 if temperatures is None else float(temperatures[number])
        weight = float(answer.weights[0, number])
        cards.append(CardSays(weight, _likeliest(outputs[0] / divisor, player.classes)))
    return Says(
        picture, _likeliest(answer.outputs[0], player.classes), tuple(cards), log_spectra(image)[0].cpu()
    )


def _likeliest(outputs: Tensor, classes: tuple[str, ...]) -> Likeliest:
    # Stable, so that of classes that are equally likely the first comes first.
    shares, order = outputs.float().softmax(dim=0).sort(descending=True, stable=True)
    labels = (classes[place] for place in order[:_SHOWN].tolist())
    return tuple(zip(labels, shares[:_SHOWN].tolist(), strict=True))

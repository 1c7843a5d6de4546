"""`features`: each image is weighted by what the first convolution makes of it, without a spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from winninghand.base.errors import InputError
from winninghand.cards import Card
from winninghand.decks.gate import Gate, GateSettings, Inputs, Scores, fitted_tensors
from winninghand.decks.gates.weighted import Weighted

# Added to a channel's deviation before its logarithm: about a grey level's worth of the normalised image.
_FLOOR = 1e-2


class Features(Weighted):
    """The same weights as `weighted`, of scores that are linear in `FirstStage` of the first card.

    Before the first norm, a body gives the same for every set of norms. Unfitted, all scores are 0.
    """

    name: ClassVar[str] = "features"
    needs_profiles: ClassVar[bool] = False
    inputs: ClassVar[Inputs | None] = "features"

    def __init__(self, stage: FirstStage, cards: int, settings: GateSettings) -> None:
        super().__init__([], settings)
        self.stage, width = stage, stage.numbers
        if settings.scores is None:
            self.scores = Scores(torch.zeros(width, cards), torch.zeros(cards))
        else:
            self.scores = Scores(*fitted_tensors(settings.scores, width, cards))

    @classmethod
    def of_cards(cls, cards: Sequence[Card], settings: GateSettings) -> Gate:
        """Return a gate for these cards; `InputError` where the first has no such stage."""
        return cls(FirstStage(cards[0]), len(cards), settings)

    def look(self, images: Tensor) -> Tensor:
        """Return the statistics of the first stage (N, 2 · channels)."""
        seen: Tensor = self.stage(images)
        return seen


class FirstStage(nn.Module):
    """Statistics of a card's first convolution for float images (N, 3, H, W) in [0, 1].

    Of each channel's raw output its mean and the logarithm of its deviation, over all places: float32
    (N, 2 · channels). It has a copy of the weights as the card has them now, which training leaves as
    it is. Raises `InputError` for a card without a plain convolution that takes the images.
    """

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor | None

    def __init__(self, card: Card) -> None:
        super().__init__()
        found = first_convolution(card)
        if found is None:
            raise InputError(
                "the gate 'features' looks at the first convolution, and the first card has no plain one of "
                "three channels; choose another gate"
            )
        self._stride, self._dilation = found.stride, found.dilation
        self._padding = cast("str | tuple[int, int]", found.padding)
        bias = None if found.bias is None else found.bias.detach().float().clone()
        for name, tensor in {
            "mean": card.normalisation.mean.detach().float().clone(),
            "std": card.normalisation.std.detach().float().clone(),
            "weight": found.weight.detach().float().clone(),
            "bias": bias,
        }.items():
            self.register_buffer(name, tensor, persistent=False)

    @property
    def numbers(self) -> int:
        """How many numbers it gives for each image."""
        return 2 * len(self.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return the statistics of images."""
        normalised = (images.float() - self.mean) / self.std
        maps = functional.conv2d(
            normalised, self.weight, self.bias, self._stride, self._padding, self._dilation
        ).flatten(2)
        mean = maps.mean(dim=2)
        # A tenth of the time that torch takes for a variance.
        squares = torch.linalg.vector_norm(maps, dim=2).square() / maps.shape[2]
        deviation = (squares - mean.square()).clamp_min(0).sqrt()
        return torch.cat((mean, deviation.add(_FLOOR).log()), dim=1)


def first_convolution(card: Card) -> nn.Conv2d | None:
    """Return a card's first convolution, None where it is no plain one of three channels."""
    found = next((part for part in card.network.modules() if isinstance(part, nn.Conv2d)), None)
    plain = (
        found is not None
        and type(found) is nn.Conv2d
        and (found.in_channels, found.groups, found.padding_mode) == (3, 1, "zeros")
    )
    return found if plain else None

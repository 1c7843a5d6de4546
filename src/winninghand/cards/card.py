"""A card: a compact classifier that carries all that is needed to use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from winninghand.base.device import device_of
from winninghand.base.errors import InputError, first_error
from winninghand.base.version import __version__
from winninghand.cards.metadata import CardMetadata, Triple
from winninghand.cards.normalisation import Normalisation
from winninghand.compression import prunable_weights
from winninghand.networks import architecture_of
from winninghand.spectra import SpectralProfile

if TYPE_CHECKING:
    from winninghand.cards.quantization import Weights


class Answer(NamedTuple):
    """What a card or a deck says of N images.

    `outputs` are logits (a card's) or log-probabilities (a deck's), float (N, classes). `weights`,
    float (N, cards), rows summing to 1, say how much each card counts for each image; a card of
    weight 0 was not played on it.
    """

    outputs: Tensor
    weights: Tensor

    @property
    def passes(self) -> Tensor:
        """How many networks were run on each image, float32 (N,)."""
        return (self.weights > 0).sum(dim=1).float()


class Card(nn.Module):
    """A network with its normalisation, classes, training domain and spectral profile.

    Called with float images (N, 3, H, W) in [0, 1] of its `input_size`, it gives logits
    (N, classes). A new card is in evaluation mode, on the device of its network. `scales` holds, for
    weights that are whole levels times a scale per output channel, these scales, float32
    (channels,), by weight name.
    """

    def __init__(
        self,
        network: nn.Module,
        metadata: CardMetadata,
        profile: SpectralProfile | None = None,
        scales: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.metadata = metadata
        self.profile = profile
        self.scales = dict(scales or {})
        self.normalisation = Normalisation(metadata.mean, metadata.std).to(device_of(network))
        self.eval()

    @classmethod
    def from_module(
        cls,
        module: nn.Module,
        classes: Sequence[str],
        input_size: tuple[int, int],
        mean: Triple = (0.0, 0.0, 0.0),
        std: Triple = (1.0, 1.0, 1.0),
        profile: SpectralProfile | None = None,
    ) -> Card:
        """Make a card of a trained module as it stands; weights that are zero count as pruned.

        `input_size` is (height, width) in pixels. `mean` and `std` are those by which the
        module expects its images to be normalised; by default it sees them in [0, 1]. Raises
        `InputError` for values out of range and for classes that are not as many as a network of
        the catalog has outputs.
        """
        try:
            metadata = CardMetadata(
                classes=tuple(classes),
                input_size=input_size,
                mean=mean,
                std=std,
                prunable=tuple(prunable_weights(module)),
                architecture=architecture_metadata(module),
                winninghand=__version__,
            )
        except ValidationError as error:
            raise InputError(f"card: {first_error(error)}") from None
        return cls(module, metadata, profile)

    kind: ClassVar[Literal["card"]] = "card"
    gate: ClassVar[None] = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.metadata.classes

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images that it takes."""
        return self.metadata.input_size

    @property
    def cards(self) -> tuple[Card, ...]:
        """The card itself: played alone, it is all that is played."""
        return (self,)

    @property
    def device(self) -> torch.device:
        """Where its images must be."""
        return self.normalisation.mean.device

    def with_accuracies(self, accuracies: Mapping[str, float]) -> Card:
        """Return the same card with measured accuracies, fractions by what they were measured on."""
        metadata = self.metadata.model_copy(update={"accuracies": dict(accuracies)})
        return Card(self.network, metadata, self.profile, self.scales)

    def quantized(self, weights: Weights, images: Tensor | None = None, norms: bool = False) -> Card:
        """Return a new card, its weights rounded to `int8`, `int4`, `fp16` or `binary`: see `quantize`."""
        from winninghand.cards.quantization import quantize

        return quantize(self, weights, images, norms)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of float images (N, 3, H, W) in [0, 1]."""
        check_batch(images, self.input_size)
        logits: Tensor = self.network(self.normalisation(images))
        return logits

    def answer(self, images: Tensor) -> Answer:
        """Return logits (N, classes), and weights (N, 1) of ones, of float images in [0, 1]."""
        logits = self(images)
        return Answer(logits, logits.new_ones(len(logits), 1))

    def reset(self) -> None:
        """Do nothing: a card remembers no images."""

    def save(self, path: Path | str) -> None:
        """Write the card to one file, whole or not at all."""
        from winninghand.cards.file import save_card

        save_card(self, path)


def check_batch(images: Tensor, input_size: tuple[int, int]) -> None:
    """Raise `InputError` unless `images` is a float batch (N ≥ 1, 3, *input_size)."""
    height, width = input_size
    if not images.is_floating_point():
        raise InputError(f"images must be float in [0, 1], not {images.dtype}; divide bytes by 255")
    if images.ndim != 4 or images.shape[0] == 0 or tuple(images.shape[1:]) != (3, height, width):
        raise InputError(
            f"images must have the shape (N, 3, {height}, {width}), not {tuple(images.shape)}; resize them"
        )


def architecture_metadata(module: nn.Module) -> dict[str, object] | None:
    """Return name and settings of a network of the catalog as one table, None for any other module."""
    architecture = architecture_of(module)
    return None if architecture is None else {"name": architecture.name, **architecture.settings}

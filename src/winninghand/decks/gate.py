"""What a gate is: weights of cards for images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from winninghand.registry import Registry
from winninghand.spectra import SpectralProfile


class Gate(ABC):
    """Chooses cards for a batch of images by looking at the images alone."""

    name: ClassVar[str]
    needs_profiles: ClassVar[bool] = True

    @abstractmethod
    def weights(self, images: Tensor, profiles: Sequence[SpectralProfile]) -> Tensor:
        """Return the weight of each card for each image, float (N, cards), rows summing to 1.

        `images` is float (N, 3, H, W) in [0, 1]; `profiles` holds one profile per card. A card
        of weight 0 is not played.
        """


GATES: Registry[Gate] = Registry("gate")
